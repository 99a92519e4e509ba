"""Evaluation of a run's latents: heads, clusters, silhouettes, sparsity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aeflow.evaluation.evaluation import Evaluation, Findings
from aeflow.evaluation.metric import Metric, declare, measured
from aeflow.evaluation.representation.clusters import clustering_agreement, silhouette_width
from aeflow.evaluation.representation.heads import head_accuracy
from aeflow.scoring.space import kept
from aeflow.views import rows_of

if TYPE_CHECKING:
    from aeflow.evaluation.assessment import Assessment

# training rows given to a head: bounds its time on images; the same rows for every model of a view
MAX_TRAIN = {"logistic": 10_000, "knn": 10_000, "mlp": 2_000}
MAX_CLUSTERED = 5_000
N_FOLDS = 5
NEAR_ZERO = 1e-3  # of a latent's largest magnitude

_HEAD = "of a classifier (`logistic`, `knn`, `mlp`) on frozen latents, learnt on training rows, tested on test rows"
declare("representation", "accuracy", "higher", f"Accuracy {_HEAD} of other donors.", of_batch="lower")
declare("representation", "balanced_accuracy", "higher", f"Mean recall of the classes {_HEAD}.", of_batch="lower")
declare("representation", "majority", "none", "Accuracy of always naming the commonest class.", of_batch="none")
declare(
    "representation",
    "nmi",
    "higher",
    "Normalised mutual information of k-means clusters of latents and the classes, 0 to 1.",
    of_batch="lower",
)
declare(
    "representation",
    "ari",
    "higher",
    "Adjusted Rand index of k-means clusters of latents and the classes; 0 for random clusters.",
    of_batch="lower",
)
declare(
    "representation",
    "silhouette",
    "higher",
    "Mean silhouette width of the classes in standardised latents, -1 to 1.",
    of_batch="lower",
)
declare("representation", "hoyer", "none", "Sparsity of latents: 0 dense, 1 one active latent (Hoyer 2004).")
declare("representation", "near_zero", "none", "Share of latent values below a thousandth of the largest magnitude.")
declare("representation", "unused", "none", "Share of latents that do not vary.")


class Representation(Evaluation):
    """Labels predicted from latents, and the sparsity of latents on the view's test rows.

    labels : columns whose classes are read off; heads : classifiers for it; batch_columns : those of `labels` that a
    model should not find. The baseline's run carries the same heads on the variables themselves.
    """

    def __init__(self, *, labels: Sequence[str], heads: Sequence[str], batch_columns: Sequence[str]):
        self.labels = labels
        self.heads = heads
        self.batch_columns = batch_columns

    def evaluate(self, a: Assessment) -> Findings:
        obs = a.obs_of(a.latent["sample_id"])
        z = a.latent.drop(columns=["sample_id", "split"]).to_numpy(np.float64)
        in_view = rows_of(obs, a.view, "view")
        found = self.of_labels(z, obs, in_view, a.seed)
        test = in_view & (obs["split"] == "test").to_numpy()
        found += measured("representation", sparsity(z[test]), subject="sparsity")
        if a.is_baseline and self.labels:
            train = a.dataset.rows("train")
            obs = pd.concat([train.obs, a.test.obs], ignore_index=True)
            x = np.concatenate([train.X, a.test.X]).astype(np.float64)
            found += self.of_labels(x, obs, rows_of(obs, a.view, "view"), a.seed, baseline=True)
        return Findings(found)

    def of_labels(
        self, z: np.ndarray, obs: pd.DataFrame, in_view: np.ndarray, seed: int, *, baseline: bool = False
    ) -> list[Metric]:
        """Return representation/{column}/... of z (n_obs, n_latent), obs and in_view (n_obs,) of the same rows.

        A head learns from the training rows of the view and is tested on its test rows. A column of one class in the
        view, such as condition where normals are trained on, is read off all test rows instead, by folds that keep
        donors together.
        """
        found: list[Metric] = []
        train = (obs["split"] == "train").to_numpy() & in_view
        test = (obs["split"] == "test").to_numpy()
        for column in self.labels:
            y = obs[column].astype(str).to_numpy()
            if len(set(y[train])) > 1:
                of_heads = _held_out(z, y, train, test & in_view, self.heads, seed)
                rows = np.flatnonzero(test & in_view)
            elif len(set(y[test])) > 1:
                donors = obs["donor_id" if "donor_id" in obs else "sample_id"].to_numpy()
                of_heads = _folds(z[test], y[test], donors[test], self.heads, seed)
                rows = np.flatnonzero(test)
            else:
                continue  # there is nothing to tell apart
            about = {
                "subject": f"baseline/{column}" if baseline else column,
                "baseline": baseline,
                "batch": column in self.batch_columns,
            }
            for head, values in of_heads.items():
                found += measured("representation", values, score=head, **about)
            rows = rows[kept(len(rows), MAX_CLUSTERED, seed)]
            if 1 < len(set(y[rows])) < len(rows):
                values = clustering_agreement(z[rows], y[rows], seed)
                values["silhouette"] = silhouette_width(z[rows], y[rows], seed)
                found += measured("representation", values, **about)
        return found


def _held_out(z, y, train, test, heads, seed) -> dict[str, dict[str, float]]:
    """Return {head: {metric: value}} of classes y read off z by heads; "" for what is the same for every head."""
    out: dict[str, dict[str, float]] = {}
    for head in heads:
        rows = np.flatnonzero(train)
        rows = rows[kept(len(rows), MAX_TRAIN[head], seed)]
        found = head_accuracy(z[rows], y[rows], z[test], y[test], head=head, seed=seed)
        out[head] = {key: found[key] for key in ("accuracy", "balanced_accuracy")}
        out[""] = {"majority": found["majority"]}
    return out


def _folds(z, y, donors, heads, seed) -> dict[str, dict[str, float]]:
    """Return the same, as means over folds that keep donors together; {} where no fold can be trained on."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds = list(StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=seed).split(z, y, donors))
    folds = [(train, test) for train, test in folds if len(set(y[train])) > 1 and len(test)]
    out: dict[str, dict[str, float]] = {}
    for head in heads if folds else ():
        found = [head_accuracy(z[t], y[t], z[v], y[v], head=head, seed=seed) for t, v in folds]
        mean = {key: float(np.mean([f[key] for f in found])) for key in found[0]}
        out[head] = {key: mean[key] for key in ("accuracy", "balanced_accuracy")}
        out[""] = {"majority": mean["majority"]}
    return out


def sparsity(z: np.ndarray) -> dict[str, float]:
    """Return how sparse latents (n_obs, n_latent) are.

    hoyer : mean over rows of (sqrt(L) - |z|_1 / |z|_2) / (sqrt(L) - 1), 0 dense, 1 one active latent (Hoyer 2004, JMLR
    5:1457). near_zero : share of values below a thousandth of the largest magnitude. unused : share of latents that
    do not vary.
    """
    size = np.sqrt(z.shape[1])
    norm = np.maximum(np.linalg.norm(z, axis=1), 1e-12)
    hoyer = (size - np.abs(z).sum(1) / norm) / max(size - 1, 1e-12) if z.shape[1] > 1 else np.zeros(len(z))
    return {
        "hoyer": float(hoyer.mean()),
        "near_zero": float((np.abs(z) < NEAR_ZERO * max(np.abs(z).max(), 1e-12)).mean()),
        "unused": float((z.std(0) < 1e-6).mean()),
    }

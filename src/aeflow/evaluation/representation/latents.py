"""Evaluation of a run's latents: heads, clusters, silhouettes, sparsity."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aeflow.evaluation.evaluation import Evaluation, Findings
from aeflow.evaluation.metric import Metric, declare, measured
from aeflow.evaluation.representation.clusters import clustering_agreement, silhouette_width
from aeflow.evaluation.representation.heads import accuracies, head_accuracy, predicted
from aeflow.labels import has_label
from aeflow.scoring.space import kept
from aeflow.views import rows_of

if TYPE_CHECKING:
    from aeflow.evaluation.assessment import Assessment

log = logging.getLogger(__name__)
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
    "n_unlabelled",
    "none",
    "Test rows without a label (blank, `NA`, `Not Reported`, ...), which are left out. Only where there are some.",
    of_batch="none",
)
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
        donors together. Rows without a label are left out, and counted.
        """
        found: list[Metric] = []
        donors = obs["donor_id" if "donor_id" in obs else "sample_id"].to_numpy()
        for column in self.labels:
            known = has_label(obs[column])
            y = obs[column].astype(str).to_numpy()
            train = (obs["split"] == "train").to_numpy() & in_view & known
            held_out = len(set(y[train])) > 1
            asked = (obs["split"] == "test").to_numpy() & (in_view if held_out else True)
            test = asked & known
            unlabelled = asked & ~known
            if held_out:
                if len(set(y[test])) < 2:
                    log.warning(
                        "label %s: the view's test rows have %d classes: not measured", column, len(set(y[test]))
                    )
                    continue
                of_heads = _held_out(z, y, train, test, self.heads, seed)
            else:
                test = _divisible(y, test, donors, column)
                if not test.any():
                    continue
                of_heads = _folds(z[test], y[test], donors[test], self.heads, seed)
            about = {
                "subject": f"baseline/{column}" if baseline else column,
                "baseline": baseline,
                "batch": column in self.batch_columns,
            }
            for head, values in of_heads.items():
                found += measured("representation", values, score=head, **about)
            if unlabelled.any():
                log.warning("label %s: %d test rows have none and are left out", column, unlabelled.sum())
                found += measured("representation", {"n_unlabelled": unlabelled.sum()}, **about)
            rows = np.flatnonzero(test)
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
        _add(out, head, head_accuracy(z[rows], y[rows], z[test], y[test], head=head, seed=seed))
    return out


def _divisible(y: np.ndarray, rows: np.ndarray, donors: np.ndarray, column: str) -> np.ndarray:
    """Return `rows` (n_obs,) without classes of one donor, which no fold could learn and test; none if one is left."""
    n_donors = {name: len(set(donors[rows & (y == name)])) for name in sorted(set(y[rows]))}
    alone = [name for name, n in n_donors.items() if n < 2]
    if len(n_donors) - len(alone) < 2:
        log.warning("label %s: donors of each class among the test rows: %s; not measured", column, n_donors)
        return np.zeros_like(rows)
    if alone:
        log.warning("label %s: classes of one donor are left out: %s", column, ", ".join(alone))
    return rows & ~np.isin(y, alone)


def _folds(z, y, donors, heads, seed) -> dict[str, dict[str, float]]:
    """Return the same over folds that keep donors together; the predictions of all folds are scored at once.

    A mean over folds would leave out a class where a fold lacks it. There are `N_FOLDS`, or as many as the rarest class
    has donors, so that each fold can have one.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    n_folds = min(N_FOLDS, *(len(set(donors[y == name])) for name in set(y)))
    folds = list(StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(z, y, donors))
    out: dict[str, dict[str, float]] = {}
    for head in heads:
        named, commonest = np.empty_like(y), np.empty_like(y)
        for train, test in folds:
            named[test], commonest[test] = predicted(z[train], y[train], z[test], head=head, seed=seed)
        _add(out, head, accuracies(y, named, commonest))
    return out


def _add(out: dict[str, dict[str, float]], head: str, found: dict[str, float]) -> None:
    out[head] = {key: found[key] for key in ("accuracy", "balanced_accuracy")}
    out[""] = {"majority": found["majority"]}


def sparsity(z: np.ndarray) -> dict[str, float]:
    """Return how sparse latents (n_obs, n_latent) are.

    hoyer : mean over rows of (sqrt(L) - |z|_1 / |z|_2) / (sqrt(L) - 1), 0 dense, 1 one active latent (Hoyer 2004, JMLR
    5:1457), of the rows that are not all zero; NaN with one latent, or where all rows are zero. near_zero : share of
    values below a thousandth of the largest magnitude. unused : share of latents that do not vary.
    """
    size = np.sqrt(z.shape[1])
    norm = np.linalg.norm(z, axis=1)
    some = norm > 1e-12
    hoyer = np.nan
    if size > 1 and some.any():
        hoyer = ((size - np.abs(z[some]).sum(1) / norm[some]) / (size - 1)).mean()
    return {
        "hoyer": float(hoyer),
        "near_zero": float((np.abs(z) < NEAR_ZERO * max(np.abs(z).max(), 1e-12)).mean()),
        "unused": float((z.std(0) < 1e-6).mean()),
    }

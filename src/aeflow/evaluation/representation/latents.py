"""What a run's latents are good for: heads, clusters, silhouettes, sparsity, and the subspace beside PCA's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aeflow.evaluation.representation.clusters import clustering_agreement, silhouette_width, subspace_angles_degrees
from aeflow.evaluation.representation.heads import head_accuracy

# training rows given to a head: bounds its time on images; the same rows for every model of a view
MAX_TRAIN = {"logistic": 10_000, "knn": 10_000, "mlp": 2_000}
MAX_CLUSTERED = 5_000
N_FOLDS = 5
NEAR_ZERO = 1e-3  # of a latent's largest magnitude


def label_metrics(
    z: np.ndarray, obs: pd.DataFrame, in_view: np.ndarray, columns: Sequence[str], heads: Sequence[str], seed: int
) -> dict[str, float]:
    """Return {column}/{head}/accuracy.., {column}/nmi, ari, silhouette of latents z (n_obs, n_latent).

    obs : their rows, with columns split, donor_id (or sample_id) and `columns`. A head learns from the training rows
    of the view and is tested on its test rows. A column of one class in the view, such as condition where normals are
    trained on, is read off all test rows instead, by folds that keep donors together.
    """
    out: dict[str, float] = {}
    train = (obs["split"] == "train").to_numpy() & in_view
    test = (obs["split"] == "test").to_numpy()
    for column in columns:
        y = obs[column].astype(str).to_numpy()
        if len(set(y[train])) > 1:
            out |= {f"{column}/{k}": v for k, v in _held_out(z, y, train, test & in_view, heads, seed).items()}
            rows = np.flatnonzero(test & in_view)
        elif len(set(y[test])) > 1:
            donors = obs["donor_id" if "donor_id" in obs else "sample_id"].to_numpy()
            out |= {f"{column}/{k}": v for k, v in _folds(z[test], y[test], donors[test], heads, seed).items()}
            rows = np.flatnonzero(test)
        else:
            continue  # there is nothing to tell apart
        if len(rows) > MAX_CLUSTERED:
            rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_CLUSTERED, replace=False))
        if 1 < len(set(y[rows])) < len(rows):
            out |= {f"{column}/{k}": v for k, v in clustering_agreement(z[rows], y[rows], seed).items()}
            out[f"{column}/silhouette"] = silhouette_width(z[rows], y[rows], seed)
    return out


def _held_out(z, y, train, test, heads, seed) -> dict[str, float]:
    out = {}
    for head in heads:
        rows = np.flatnonzero(train)
        if len(rows) > MAX_TRAIN[head]:
            rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_TRAIN[head], replace=False))
        found = head_accuracy(z[rows], y[rows], z[test], y[test], head=head, seed=seed)
        out |= {f"{head}/accuracy": found["accuracy"], f"{head}/balanced_accuracy": found["balanced_accuracy"]}
        out["majority"] = found["majority"]
    return out


def _folds(z, y, donors, heads, seed) -> dict[str, float]:
    from sklearn.model_selection import StratifiedGroupKFold

    folds = list(StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=seed).split(z, y, donors))
    folds = [(train, test) for train, test in folds if len(set(y[train])) > 1 and len(test)]
    out = {}
    for head in heads if folds else ():
        found = []
        for train, test in folds:
            found.append(head_accuracy(z[train], y[train], z[test], y[test], head=head, seed=seed))
        for key in ("accuracy", "balanced_accuracy"):
            out[f"{head}/{key}"] = float(np.mean([f[key] for f in found]))
        out["majority"] = float(np.mean([f["majority"] for f in found]))
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


def subspace_metrics(loadings: np.ndarray, pca_loadings: np.ndarray) -> dict[str, float]:
    """Return the angles between the span of loadings (n_vars, L) and PCA's, in degrees, and of single directions.

    direction_agreement : mean |cosine| of the left singular vectors of `loadings` with PCA's directions, in order.
    """
    k = min(loadings.shape[1], pca_loadings.shape[1])
    angles = subspace_angles_degrees(loadings, pca_loadings)
    u, _, _ = np.linalg.svd(loadings.astype(np.float64), full_matrices=False)
    cosines = np.abs((u[:, :k] * pca_loadings[:, :k]).sum(0)) / np.linalg.norm(pca_loadings[:, :k], axis=0)
    return {
        "largest_angle": float(angles[0]),
        "mean_squared_sine": float(np.mean(np.sin(np.radians(angles)) ** 2)),
        "direction_agreement": float(cosines.mean()),
    }


def set_coherence(loadings: np.ndarray, mask: np.ndarray) -> float:
    """Return how well variables of one set lie together among the loadings (n_vars, L), as a mean AUROC over sets.

    For each set, variables are ranked by the cosine of their loadings to the set's mean direction, which for a member
    leaves the member itself out; 0.5 if sets have no meaning in this space. mask : (n_vars, n_sets) of 0 and 1.
    """
    from sklearn.metrics import roc_auc_score

    v = loadings / np.maximum(np.linalg.norm(loadings, axis=1, keepdims=True), 1e-12)
    found = []
    for members in mask.T.astype(bool):
        if not 2 <= members.sum() < len(members):
            continue
        mean = v[members].sum(0)
        rest = mean - v * members[:, None]
        cosine = (v * rest).sum(1) / np.maximum(np.linalg.norm(rest, axis=1), 1e-12)
        found.append(roc_auc_score(members, cosine))
    return float(np.mean(found))

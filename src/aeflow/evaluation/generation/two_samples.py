"""Comparison of two sets of observations: Frechet distance, MMD, and classifiers that tell them apart.

    Frechet   |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2))     of Gaussians fitted to both (Dowson & Landau 1982)
    MMD^2     E k(x, x') + E k(y, y') - 2 E k(x, y), unbiased         Gretton et al. 2012, lemma 6
    AUROC     of a cross-validated classifier, real against generated Lopez-Paz & Oquab 2017

The Frechet distance is one of whatever features are given: it is FID only in the features of Inception, which are not
used here. Each has a floor to print beside it: real against other real rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aeflow.errors import DataError, UndefinedError
from aeflow.evaluation.checks import labels, matrix
from aeflow.evaluation.generation.manifold import squared_distances

MAX_BANDWIDTH_ROWS = 2000


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the squared Frechet (2-Wasserstein) distance of Gaussians fitted to features a (n, d) and b (m, d).

    Covariances are the unbiased ones, not shrunk; with fewer rows than features the distance is biased upwards, so
    compare equal numbers of rows only. With A, B the centred rows / sqrt(n - 1), S_a = A'A and S_b = B'B, the trace of
    (S_a S_b)^(1/2) is the sum of the singular values of A B'. No covariance is squared or inverted: there is no root
    of a negative or complex number to repair.
    """
    a = matrix(a, "a", least=2)
    b = matrix(b, "b", n_vars=a.shape[1], least=2)
    factors = [np.linalg.qr((x - x.mean(0)) / np.sqrt(len(x) - 1), mode="r") for x in (a, b)]  # R'R = S, at most (d, d)
    root = np.linalg.svd(factors[0] @ factors[1].T, compute_uv=False).sum()
    traces = sum(np.square(r).sum() for r in factors)
    return float(max(np.square(a.mean(0) - b.mean(0)).sum() + traces - 2 * root, 0.0))


def median_bandwidth(real: np.ndarray, seed: int = 0) -> float:
    """Return the median Euclidean distance between rows of real (n_obs, n_vars), of 2,000 of them at most.

    From real rows only: a bandwidth that the generated rows decide would differ from model to model.
    """
    from scipy.spatial.distance import pdist

    real = matrix(real, "real", least=2)
    if len(real) > MAX_BANDWIDTH_ROWS:
        real = real[np.random.default_rng(seed).choice(len(real), MAX_BANDWIDTH_ROWS, replace=False)]
    found = float(np.median(pdist(real)))
    if found == 0:
        raise UndefinedError("real: the median distance between rows is 0, so there is no bandwidth")
    return found


def mmd2(real: np.ndarray, generated: np.ndarray, *, bandwidth: float | None = None, seed: int = 0) -> float:
    """Return the unbiased MMD^2 under k(x, y) = exp(-|x - y|^2 / (2 bandwidth^2)); about 0 or below for equals.

    real (n_obs, n_vars), generated (n_draws, n_vars). bandwidth : None takes `median_bandwidth(real, seed)`.
    """
    real = matrix(real, "real", least=2)
    generated = matrix(generated, "generated", n_vars=real.shape[1], least=2)
    bandwidth = median_bandwidth(real, seed) if bandwidth is None else bandwidth
    if not bandwidth > 0:
        raise DataError(f"bandwidth: must be above 0, found {bandwidth}")
    centre = real.mean(0)
    x, y = real - centre, generated - centre

    def total(a: np.ndarray, b: np.ndarray) -> float:
        return sum(float(np.exp(d / (-2 * bandwidth**2)).sum()) for _, d in squared_distances(a, b))

    n = len(x)
    m = len(y)
    within = (total(x, x) - n) / (n * (n - 1)) + (total(y, y) - m) / (m * (m - 1))  # less the diagonal, where k = 1
    return within - 2 * total(x, y) / (n * m)


def classifier_two_sample(
    real: np.ndarray,
    generated: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    n_splits: int = 5,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the cross-validated AUROC with which classifiers tell generated from real rows; 0.5: they cannot.

    Parameters
    ----------
    real : (n_obs, n_vars); generated : (n_draws, n_vars).
    groups : (n_obs,) donors of the real rows, never divided by a fold; None: every row stands for itself.

    Returns
    -------
    auroc_logistic, auroc_gradient_boosting : means over folds. auroc : the larger of the two, and `classifier` its
    name; being a maximum it lies a little above 0.5 where there is nothing to tell.

    Notes
    -----
    Trees see values that repeat exactly, such as the zeros of expression and of pixels, which continuous draws lack:
    that alone can give 1.0 of gradient boosting beside 0.5 of logistic regression.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from aeflow.evaluation.probes.classifiers import SETTINGS

    real = matrix(real, "real", least=n_splits)
    generated = matrix(generated, "generated", n_vars=real.shape[1], least=n_splits)
    donors = (
        np.arange(len(real))
        if groups is None
        else np.unique(labels(groups, "groups", len(real)), return_inverse=True)[1]
    )
    if len(set(donors)) < n_splits:
        raise UndefinedError(f"groups: {n_splits} folds need as many donors, found {len(set(donors))}")
    x = np.concatenate([real, generated])
    y = np.repeat([0, 1], [len(real), len(generated)])
    group = np.concatenate([donors, donors.max() + 1 + np.arange(len(generated))])
    folds = list(StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed).split(x, y, group))
    made = {
        "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(**SETTINGS["logistic"])),
        "gradient_boosting": lambda: HistGradientBoostingClassifier(random_state=seed, **SETTINGS["gradient_boosting"]),
    }
    auroc = {
        name: float(np.mean([roc_auc_score(y[t], make().fit(x[f], y[f]).predict_proba(x[t])[:, 1]) for f, t in folds]))
        for name, make in made.items()
    }
    best = max(auroc, key=auroc.__getitem__)
    return {f"auroc_{name}": value for name, value in auroc.items()} | {"auroc": auroc[best], "classifier": best}

"""Gene-gene correlations of generated expression, with their floor and ceiling.

    D(X) = 1 - Pearson correlation of every pair of genes     upper triangle, n_vars (n_vars - 1) / 2 values
    gamma = Pearson correlation of D(real) and D(generated)

Viñas et al. 2022 (Bioinformatics 38:730), there on the whole test set with one draw per test row of the same tissue
and study. Floor: a Gaussian per class, `class_gaussian_draws`. Ceiling: as many real training rows as there are draws.
What classifiers learn from draws is in `aeflow.evaluation.generation.augmentation`.
"""

from __future__ import annotations

import numpy as np

from aeflow.errors import DataError, UndefinedError
from aeflow.evaluation.checks import labels, matrix

BLOCK = 512  # genes whose correlations with all others are held at once


def _unit_columns(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return columns centred and of length 1, so that products are correlations, and which ones do not vary (0)."""
    constant = np.ptp(x, axis=0) == 0
    x = x - x.mean(0)
    x[:, constant] = 0  # the mean of equal values is not always the value itself
    length = np.linalg.norm(x, axis=0)
    return x / np.where(length > 0, length, 1), constant | (length == 0)


def correlation_agreement(real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """Return gamma and what it was computed from.

    Parameters
    ----------
    real : (n_obs, n_vars) held-out rows; generated : (n_draws, n_vars); both in the same unit, at least 3 rows.

    Returns
    -------
    gamma : -1 to 1. n_vars_used : genes that vary among real rows; the others have no correlation and are left out.
    n_vars_constant : of those used, genes that do not vary among draws: they correlate with nothing (0). Where all
    draws are equal gamma is 0.

    Raises
    ------
    DataError : fewer than three genes vary, or all real correlations are equal.
    """
    real = matrix(real, "real", least=3)
    generated = matrix(generated, "generated", n_vars=real.shape[1], least=3)
    a, constant = _unit_columns(real)
    a = a[:, ~constant]
    b, flat = _unit_columns(generated[:, ~constant])
    n = a.shape[1]
    if n < 3:
        raise UndefinedError(f"real: {n} of {real.shape[1]} variables vary, at least 3 are needed")
    sums = np.zeros(5)  # of D_real, D_generated, their squares and product, over pairs of genes
    for start in range(0, n, BLOCK):
        block = slice(start, min(start + BLOCK, n))
        above = np.arange(start, n)[None] > np.arange(block.start, block.stop)[:, None]
        p = 1 - (a[:, block].T @ a[:, start:])[above]
        q = 1 - (b[:, block].T @ b[:, start:])[above]
        sums += [p.sum(), q.sum(), p @ p, q @ q, p @ q]
    pairs = n * (n - 1) / 2
    mean_p, mean_q, pp, qq, pq = sums / pairs
    var_p, var_q = pp - mean_p**2, qq - mean_q**2
    if var_p <= 1e-14:
        raise UndefinedError(f"real: the correlations of all {int(pairs)} pairs of variables are equal")
    # a generator that collapsed to one point has failed, but is a result: 0, as for draws without any correlation
    gamma = (pq - mean_p * mean_q) / np.sqrt(var_p * var_q) if var_q > 1e-14 else 0.0
    return {"gamma": float(gamma), "n_vars_used": n, "n_vars_constant": int(flat.sum())}


def class_gaussian_draws(
    x_train: np.ndarray,
    classes: np.ndarray,
    classes_wanted: np.ndarray,
    rng: np.random.Generator,
    *,
    shrinkage: float | None = None,
) -> np.ndarray:
    """Return draws (len(classes_wanted), n_vars) float32, a Gaussian per class: the floor of conditional draws.

    x = mean_class + sd * (sqrt(1 - a) R'g / sqrt(n - n_classes) + sqrt(a) e),  g ~ N(0, I_n), e ~ N(0, I_n_vars)

    R (n, n_vars) are the training rows less their class mean, divided by the pooled within-class sd of each gene, so
    draws have the pooled covariance with correlations shrunk towards 0 by a; the covariance itself is never formed.

    Parameters
    ----------
    x_train : (n_train, n_vars); classes : (n_train,) labels, e.g. "GTEx/liver/normal".
    classes_wanted : (n_draws,) labels, all known from training.
    shrinkage : a in 0..1; None: the optimum of Ledoit & Wolf 2004 for the correlations.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    x_train = matrix(x_train, "x_train", least=2)
    classes = labels(classes, "classes", len(x_train))
    classes_wanted = labels(classes_wanted, "classes_wanted", len(classes_wanted))
    names, codes = np.unique(classes, return_inverse=True)
    unknown = sorted(set(classes_wanted.tolist()) - set(names.tolist()))
    if unknown:
        raise DataError(f"classes_wanted: no training row is {unknown[0]!r}; there are {names.tolist()[:12]}")
    freedom = len(x_train) - len(names)
    if freedom < 1:
        raise UndefinedError(f"classes: {len(names)} classes of {len(x_train)} rows leave no covariance")
    means = np.stack([x_train[codes == i].mean(0) for i in range(len(names))])
    residual = x_train - means[codes]
    sd = np.sqrt(np.square(residual).sum(0) / freedom)
    residual /= np.where(sd > 0, sd, 1)
    if shrinkage is None:
        shrinkage = ledoit_wolf_shrinkage(residual, assume_centered=True)
    if not 0 <= shrinkage <= 1:
        raise DataError(f"shrinkage: must be between 0 and 1, found {shrinkage}")
    n_draws = len(classes_wanted)
    draws = rng.standard_normal((n_draws, len(residual))) @ residual * np.sqrt((1 - shrinkage) / freedom)
    draws += np.sqrt(shrinkage) * rng.standard_normal((n_draws, x_train.shape[1]))
    return (means[np.searchsorted(names, classes_wanted)] + sd * draws).astype(np.float32)

"""The steps of preprocessing, as functions of values.

Row-wise steps treat each row by itself; `fit_selection` and `fit_scale` are fitted on the rows they are given.
`aeflow.dataset.transform` puts them in their order.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

import numpy as np

from aeflow.errors import ConfigError, DataError

log = logging.getLogger(__name__)
LOG_UNITS = {"counts": "log2_counts1", "tpm": "log2_tpm1", "fpkm": "log2_fpkm1"}
DRAWN_AT_ONCE = 1024  # rows


def binarise(X: np.ndarray, sample_ids: Sequence[str], cohort_ids: Sequence[str], seed: int) -> np.ndarray:
    """Return X (n_obs, n_vars), values in [0, 1], drawn as 0 or 1, float32; the draw of a row is that of its sample.

    Rows of the cohort are drawn from one stream in the order of `cohort_ids`, so that each keeps its draw whatever
    rows it is given with. A sample that is not of the cohort has a stream of its own, from `seed` and its sample_id.
    """
    position = {sample_id: i for i, sample_id in enumerate(cohort_ids)}
    of_cohort = np.array([position.get(sample_id, -1) for sample_id in sample_ids], dtype=int)
    out = np.empty(X.shape, dtype=np.float32)
    stream = np.random.default_rng(seed)
    for start in range(0, int(of_cohort.max(initial=-1)) + 1, DRAWN_AT_ONCE):
        uniform = stream.random((DRAWN_AT_ONCE, X.shape[1]), dtype=np.float32)
        rows = np.flatnonzero((of_cohort >= start) & (of_cohort < start + DRAWN_AT_ONCE))
        out[rows] = uniform[of_cohort[rows] - start] < X[rows]
    for i in np.flatnonzero(of_cohort < 0):
        words = np.frombuffer(hashlib.sha256(str(sample_ids[i]).encode()).digest(), dtype="<u4")
        own = np.random.default_rng([seed, *words.tolist()])
        out[i] = own.random(X.shape[1], dtype=np.float32) < X[i]
    return out


def normalise(X: np.ndarray, method: str, sample_ids: Sequence[str] | None = None) -> np.ndarray:
    """Return X (n_obs, n_vars) with each row scaled by its own size; no row sees another.

    sample_ids : (n_obs,) for messages. DataError for a row without a value above zero, which has no size.

    cpm: to a sum of 1e6. upper_quartile: to a 75th percentile of non-zero values of 1000 (Bullard et al. 2010,
    with the factor of Wang et al. 2018).
    """
    if method == "none":
        return X
    if method == "cpm":
        size = X.sum(1, dtype=np.float64) / 1e6
    elif method == "upper_quartile":
        size = np.array([np.percentile(row[row > 0], 75) if (row > 0).any() else 0.0 for row in X]) / 1000
    else:
        raise ConfigError(f"normalise: {method!r} does not exist; known: none, cpm, upper_quartile")
    if (size == 0).any():
        i = int(np.argmin(size))
        row = f"row {i}" if sample_ids is None else f"sample {sample_ids[i]!r}"
        raise DataError(f"normalise: {row} has no value above zero; there are {(size == 0).sum()} such rows")
    return (X / size[:, None]).astype(np.float32)


def log2p1(X: np.ndarray) -> np.ndarray:
    """Return log2(x + 1), float32; `LOG_UNITS` names the unit."""
    return np.log2(X + np.float32(1))


def fit_selection(X: np.ndarray, n_top: int | None) -> np.ndarray:
    """Return the indices (ascending) of the `n_top` variables of largest median absolute deviation over rows of X.

    None keeps every variable. Ties are broken by order; variables that do not vary at all are never chosen (DataError
    if none varies).
    """
    if n_top is None:
        return np.arange(X.shape[1])
    varies = np.ptp(X, axis=0) > 0
    if not varies.any():
        raise DataError(f"n_top_vars: none of {X.shape[1]} variables varies among the {len(X)} rows it is chosen on")
    if n_top > varies.sum():
        log.warning("n_top_vars: %d were asked for, %d vary among the rows they are chosen on", n_top, varies.sum())
    mad = np.median(np.abs(X - np.median(X, axis=0)), axis=0)
    # where more than half of a variable's rows are equal its MAD is 0: such variables follow, by standard deviation
    order = np.lexsort((-X.std(0), -mad))
    return np.sort(order[: min(n_top, int(varies.sum()))])


def fit_scale(X: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return centre and scale (n_vars,) from rows of X; a constant variable has scale 1."""
    if method == "none":
        return np.zeros(X.shape[1]), np.ones(X.shape[1])
    if method != "standard":
        raise ConfigError(f"scale: {method!r} does not exist; known: none, standard")
    sd = X.std(0, dtype=np.float64)
    return X.mean(0, dtype=np.float64), np.where(sd > 0, sd, 1.0)


def scaled(X: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return X (n, n_vars) centred and divided by `scale` (n_vars,), float32."""
    return ((X - centre) / scale).astype(np.float32)

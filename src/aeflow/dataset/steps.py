"""Steps of preprocessing: those that treat each row by itself, and those that are fitted on training rows."""

from __future__ import annotations

import zlib

import numpy as np
import pandas as pd

from aeflow.errors import ConfigError, DataError

LOG_UNITS = {"counts": "log2_counts1", "tpm": "log2_tpm1", "fpkm": "log2_fpkm1"}


def binarise(X: np.ndarray, sample_ids: pd.Series, seed: int) -> np.ndarray:
    """Return X (n_obs, n_vars) of values in [0, 1] drawn once as 0 or 1 (static binarisation; models draw anew).

    The draw of a row depends on its sample_id and the seed alone, so that a row is the same in every table.
    ConfigError if a value lies outside [0, 1].
    """
    if X.min() < 0 or X.max() > 1:
        raise ConfigError(f"binarise: true, but values lie in [{X.min():g}, {X.max():g}], not in [0, 1]")
    drawn = np.empty(X.shape, dtype=np.float32)
    for i, sample_id in enumerate(sample_ids.astype(str)):
        rng = np.random.default_rng([seed, zlib.crc32(sample_id.encode())])
        drawn[i] = rng.random(X.shape[1], dtype=np.float32) < X[i]
    return drawn


def normalise(X: np.ndarray, method: str) -> np.ndarray:
    """Return X (n_obs, n_vars) with each row scaled by its own size; no row sees another.

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
        raise DataError(f"normalise: row {int(np.argmin(size))} has no value above zero")
    return (X / size[:, None]).astype(np.float32)


def fit_selection(X: np.ndarray, n_top: int | None) -> np.ndarray:
    """Return the indices (ascending) of the `n_top` variables of largest median absolute deviation over rows of X.

    None keeps every variable. Ties are broken by order; variables that do not vary at all are never chosen.
    """
    if n_top is None:
        return np.arange(X.shape[1])
    spread = np.ptp(X, axis=0)
    mad = np.median(np.abs(X - np.median(X, axis=0)), axis=0)
    # where more than half of a variable's rows are equal its MAD is 0: such variables follow, by standard deviation
    order = np.lexsort((-X.std(0), -mad))
    return np.sort(order[: min(n_top, int((spread > 0).sum()))])


def fit_scale(X: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return centre and scale (n_vars,) from rows of X; a constant variable has scale 1."""
    if method == "none":
        return np.zeros(X.shape[1]), np.ones(X.shape[1])
    if method != "standard":
        raise ConfigError(f"scale: {method!r} does not exist; known: none, standard")
    sd = X.std(0, dtype=np.float64)
    return X.mean(0, dtype=np.float64), np.where(sd > 0, sd, 1.0)

"""Checks of the arrays that metrics take; an error names the array and the value found."""

from __future__ import annotations

from typing import Any

import numpy as np

from aeflow.errors import DataError, UndefinedError


def matrix(x: Any, name: str, *, n_obs: int | None = None, n_vars: int | None = None, least: int = 1) -> np.ndarray:
    """Return x as (n_obs, n_vars) float64; DataError if it is no finite matrix of the size asked for.

    least : rows that must be there; with fewer there is no answer (UndefinedError).
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] == 0:
        raise DataError(f"{name}: a matrix (rows, variables) is needed, found shape {x.shape}")
    if len(x) < least:
        raise UndefinedError(f"{name}: at least {least} rows are needed, found {len(x)}")
    if n_obs is not None and len(x) != n_obs:
        raise DataError(f"{name}: {n_obs} rows are needed, found {len(x)}")
    if n_vars is not None and x.shape[1] != n_vars:
        raise DataError(f"{name}: {n_vars} variables are needed, found {x.shape[1]}")
    if not np.isfinite(x).all():
        i, j = np.argwhere(~np.isfinite(x))[0]
        raise DataError(f"{name}: row {i}, variable {j}: value {x[i, j]} is not finite")
    return x


def vector(values: Any, name: str, n: int | None = None) -> np.ndarray:
    """Return finite numbers (n,) float64; DataError otherwise."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise DataError(f"{name}: numbers along one axis are needed, found shape {values.shape}")
    if n is not None and len(values) != n:
        raise DataError(f"{name}: {n} values are needed, found {len(values)}")
    if not np.isfinite(values).all():
        i = int(np.argmin(np.isfinite(values)))
        raise DataError(f"{name}: value {i} is {values[i]}, not finite")
    return values


def labels(values: Any, name: str, n: int, *, least: int = 1) -> np.ndarray:
    """Return labels (n,) without missing ones; DataError otherwise, UndefinedError for fewer than `least` classes."""
    import pandas as pd

    values = np.asarray(values)
    if values.shape != (n,):
        raise DataError(f"{name}: {n} labels are needed, found shape {values.shape}")
    if pd.isna(values).any():
        raise DataError(f"{name}: label {int(np.argmax(pd.isna(values)))} is missing")
    found = pd.unique(values)
    if len(found) < least:
        raise UndefinedError(f"{name}: at least {least} classes are needed, found {found.tolist()}")
    return values


def binary(values: Any, name: str, n: int) -> np.ndarray:
    """Return labels (n,) as bool, both of them present; DataError otherwise."""
    values = labels(values, name, n, least=2)
    found = sorted(set(values.tolist()), key=str)
    if not set(found) <= {0, 1}:
        raise DataError(f"{name}: labels must be 0 and 1, found {found[:5]}")
    return values.astype(bool)

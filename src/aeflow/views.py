"""Filters on annotation columns: column -> allowed values, every column must match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from aeflow.errors import DataError


def rows_of(obs: pd.DataFrame, where: Mapping[str, Sequence], name: str) -> np.ndarray:
    """Return a boolean mask (n_obs,) of the rows of `obs` that `where` allows; `{}` allows all.

    Raises DataError, naming filter and column, for a column that `obs` does not have.
    """
    mask = np.ones(len(obs), dtype=bool)
    for column, allowed in where.items():
        if column not in obs.columns:
            raise DataError(f"{name}: column {column!r} does not exist; there are {', '.join(obs.columns)}")
        # true is not 1: YAML reads yes as true, which must not select the digit 1
        is_bool = pd.api.types.is_bool_dtype(obs[column].dtype)
        mask &= obs[column].isin([value for value in allowed if isinstance(value, bool) == is_bool]).to_numpy()
    return mask


def some_rows_of(obs: pd.DataFrame, where: Mapping[str, Sequence], name: str) -> np.ndarray:
    """Like `rows_of`, but DataError if no row is left; it says what values there are."""
    mask = rows_of(obs, where, name)
    if not mask.any():
        found = {column: sorted(obs[column].unique().tolist(), key=str)[:12] for column in where}
        raise DataError(f"{name}: {dict(where)} leaves no rows of {len(obs)}; values found: {found}")
    return mask

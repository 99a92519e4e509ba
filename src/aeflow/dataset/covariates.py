"""What a conditional model is given: annotation columns as numbers, encoded as on the training rows.

Text, integer and boolean columns are classes, one-hot; decimal columns are centred and scaled. Codes are fitted on
training rows; a class that training never saw is an error, not a row of zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_float_dtype

from aeflow.errors import DataError


def fit_codes(obs: pd.DataFrame, columns: Sequence[str]) -> dict[str, Any]:
    """Return, JSON-able, the code of each column: {"levels": [...]} or {"mean": m, "sd": s}."""
    codes: dict[str, Any] = {}
    for column in columns:
        values = _complete(obs, column)
        if is_float_dtype(values):
            sd = float(values.std(ddof=0))
            codes[column] = {"mean": float(values.mean()), "sd": sd if sd > 0 else 1.0}
        else:
            codes[column] = {"levels": sorted(values.unique().tolist())}
    return codes


def encode_covariates(obs: pd.DataFrame, codes: dict[str, Any]) -> np.ndarray | None:
    """Return (n_obs, n_covariates) float32, or None where there are no codes.

    Columns are in alphabetical order, whatever the order of `codes`: JSON files sort their keys, so codes that come
    back from model.json are ordered otherwise than those a model was trained with.

    Raises DataError, naming column and value, for a class that the codes do not have, and for missing values.
    """
    if not codes:
        return None
    parts = []
    for column, code in sorted(codes.items()):
        values = _complete(obs, column)
        if "levels" not in code:
            parts.append(((values.to_numpy(float) - code["mean"]) / code["sd"])[:, None])
            continue
        position = {level: i for i, level in enumerate(code["levels"])}
        unknown = [value for value in values.unique().tolist() if value not in position]
        if unknown:
            raise DataError(
                f"condition_on: {column} {unknown[0]!r} was not among the training rows; there were {code['levels']}"
            )
        parts.append(np.eye(len(position))[values.map(position).to_numpy(dtype=int)])
    return np.concatenate(parts, axis=1).astype(np.float32)


def n_covariates(codes: dict[str, Any]) -> int | None:
    """Return the number of columns `encode_covariates` gives, or None where there are no codes."""
    return sum(len(code.get("levels", [0])) for code in codes.values()) or None


def _complete(obs: pd.DataFrame, column: str) -> pd.Series:
    if column not in obs:
        raise DataError(f"condition_on: column {column!r} does not exist; there are {', '.join(obs.columns)}")
    values = obs[column]
    if values.isna().any():
        raise DataError(f"condition_on: column {column!r} has {int(values.isna().sum())} missing values")
    return values

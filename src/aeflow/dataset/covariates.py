"""What a conditional model is given: annotation columns as numbers, encoded as on the training rows.

Text, integer and boolean columns are classes, one-hot; decimal columns are centred and scaled. Codes are fitted on
training rows; a class that training never saw is an error, not a row of zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_float_dtype

from aeflow.errors import DataError
from aeflow.labels import has_label


@dataclass(frozen=True)
class Classes:
    """Code of a column of classes, one-hot: `levels` (str, int or bool), ascending."""

    levels: tuple[Any, ...]

    @property
    def width(self) -> int:
        return len(self.levels)

    def encode(self, values: pd.Series) -> np.ndarray:
        """Return (n_obs, n_levels) indicators; DataError for a class that is no level."""
        position = {level: i for i, level in enumerate(self.levels)}
        unknown = [value for value in values.unique().tolist() if value not in position]
        if unknown:
            raise DataError(
                f"condition_on: {values.name} {unknown[0]!r} was not among the training rows; "
                f"there were {list(self.levels)}"
            )
        return np.eye(len(position))[values.map(position).to_numpy(dtype=int)]

    def to_json(self) -> dict[str, Any]:
        return {"levels": list(self.levels)}


@dataclass(frozen=True)
class Quantity:
    """Code of a decimal column: (value - mean) / sd, both of the training rows; sd is 1 where they are all equal."""

    mean: float
    sd: float

    @property
    def width(self) -> int:
        return 1

    def encode(self, values: pd.Series) -> np.ndarray:
        """Return (n_obs, 1)."""
        return ((values.to_numpy(float) - self.mean) / self.sd)[:, None]

    def to_json(self) -> dict[str, Any]:
        return {"mean": self.mean, "sd": self.sd}


@dataclass(frozen=True)
class CovariateCodes:
    """Codes of the annotation columns that a model is given; iterating gives their names.

    Parameters
    ----------
    columns : name -> code, in alphabetical order, whatever the order given: JSON files sort their keys, so codes that
        come back from model.json must encode as those that the model was trained with.
    """

    columns: Mapping[str, Classes | Quantity]

    def __post_init__(self):
        object.__setattr__(self, "columns", dict(sorted(self.columns.items())))

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    @classmethod
    def fit(cls, obs: pd.DataFrame, columns: Sequence[str]) -> CovariateCodes:
        """Return the codes of `columns` over the training rows `obs`.

        Raises DataError for a column that does not exist or has missing values.
        """
        codes: dict[str, Classes | Quantity] = {}
        for column in columns:
            values = _complete(obs, column)
            if is_float_dtype(values):
                # by its range: the standard deviation of equal values is not always 0
                sd = float(values.std(ddof=0)) if values.max() > values.min() else 1.0
                codes[column] = Quantity(float(values.mean()), sd)
            else:
                codes[column] = Classes(tuple(sorted(values.unique().tolist())))
        return cls(codes)

    def encode(self, obs: pd.DataFrame) -> np.ndarray | None:
        """Return (n_obs, n_covariates) float32, columns in the order of `columns`, or None where there are no codes.

        Raises DataError, naming column and value, for a class that the codes do not have, and for missing values.
        """
        if not self.columns:
            return None
        parts = [code.encode(_complete(obs, column)) for column, code in self.columns.items()]
        return np.concatenate(parts, axis=1).astype(np.float32)

    @property
    def n_covariates(self) -> int | None:
        """Return the number of columns that `encode` gives, or None where there are no codes."""
        return sum(code.width for code in self.columns.values()) or None

    @property
    def classes(self) -> dict[str, Classes]:
        """Return the codes of the columns of classes."""
        return {column: code for column, code in self.columns.items() if isinstance(code, Classes)}

    def to_json(self) -> dict[str, Any]:
        """Return {column: {"levels": [...]} or {"mean": m, "sd": s}}, as it stands in model.json."""
        return {column: code.to_json() for column, code in self.columns.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> CovariateCodes:
        """Return the codes that `to_json` described; DataError for an entry that is neither kind."""
        codes: dict[str, Classes | Quantity] = {}
        for column, entry in content.items():
            if set(entry) == {"levels"}:
                codes[column] = Classes(tuple(entry["levels"]))
            elif set(entry) == {"mean", "sd"}:
                codes[column] = Quantity(entry["mean"], entry["sd"])
            else:
                raise DataError(f"covariates: {column!r} has {sorted(entry)}, neither levels nor mean and sd")
        return cls(codes)


def _complete(obs: pd.DataFrame, column: str) -> pd.Series:
    if column not in obs:
        raise DataError(f"condition_on: column {column!r} does not exist; there are {', '.join(obs.columns)}")
    values = obs[column]
    known = has_label(values)
    if not known.all():
        first = values[~known].iloc[0]
        raise DataError(
            f"condition_on: {(~known).sum()} of {len(values)} rows have no {column} (found {str(first)!r}), which a "
            "conditional model must be given"
        )
    return values

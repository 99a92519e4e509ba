"""Cohort: one aligned table, what was left out of it and why, and how good it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from aeflow.errors import DataError
from aeflow.files import write_frame, write_json
from aeflow.table import Table

DROPPED_COLUMNS = ("axis", "id", "reason", "value", "source_file")


def dropped_frame(rows: list[tuple[str, str, str, float, str]]) -> pd.DataFrame:
    """Return the drop log of (axis "obs" or "var", id, reason, value, source file) rows, with fixed types."""
    types = {"axis": "str", "id": "str", "reason": "str", "value": "float64", "source_file": "str"}
    return pd.DataFrame(rows, columns=list(DROPPED_COLUMNS)).astype(types)


def summary_of_dropped(dropped: pd.DataFrame) -> pd.DataFrame:
    """Return how many observations and variables each source file lost for each reason, observations first.

    dropped : columns `DROPPED_COLUMNS`. The summary has axis, reason, source_file, n and the largest value of a group.
    """
    groups = dropped.groupby(["axis", "reason", "source_file"], sort=True)["value"]
    return groups.agg(n="size", largest_value="max").reset_index()


@dataclass
class Cohort:
    """What a source's `unify` returns.

    Parameters
    ----------
    table : observations by variables; nothing in it is fitted.
    dropped : columns `DROPPED_COLUMNS`; one row per observation or variable that was left out.
    quality : JSON-able; key "origin" is "real" or "simulated".
    """

    table: Table
    dropped: pd.DataFrame
    quality: dict[str, Any]

    def write(self, X: str | Path, obs: str | Path, var: str | Path, dropped: str | Path, quality: str | Path) -> None:
        """Check and write the five files of results/cohorts/{cohort}; each appears whole or not at all."""
        if self.quality.get("origin") not in ("real", "simulated"):
            raise DataError(f"{quality}: origin must be 'real' or 'simulated', found {self.quality.get('origin')!r}")
        if tuple(self.dropped.columns) != DROPPED_COLUMNS:
            raise DataError(f"{dropped}: columns must be {DROPPED_COLUMNS}, found {tuple(self.dropped.columns)}")
        self.table.write(X, obs, var)
        write_frame(self.dropped, dropped)
        write_json(self.quality, quality)

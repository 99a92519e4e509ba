"""Task: what is normal, what is anomalous, and which two groups of normals a score should not tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aeflow.errors import DataError
from aeflow.views import rows_of

Filter = Mapping[str, Sequence]
OUTSIDE_VIEW = "outside_view"  # task.anomaly: every row that the run's view does not allow


@dataclass(frozen=True)
class Control:
    """Two groups of normal rows that a score should not tell apart, such as the normals of two studies."""

    negative: Filter
    positive: Filter


@dataclass(frozen=True)
class TaskRows:
    """Masks (n_obs,) of the normal and the anomalous rows of one split; neither is empty, and they share no row."""

    normal: np.ndarray
    anomaly: np.ndarray

    @property
    def either(self) -> np.ndarray:
        """Rows that are normal or anomalous (n_obs,)."""
        return self.normal | self.anomaly

    @property
    def label(self) -> np.ndarray:
        """True for the anomalies among `either`, one value per row of it."""
        return self.anomaly[self.either]


@dataclass(frozen=True)
class ControlRows:
    """Masks (n_obs,) of the two groups of a control; neither is empty."""

    negative: np.ndarray
    positive: np.ndarray


@dataclass(frozen=True)
class Task:
    """An anomaly-detection task as it applies to runs of one view.

    Parameters
    ----------
    view : rows that the run was trained on.
    anomaly : rows that are anomalies; None for every row outside the view.
    normal : rows that are normal; None for those of the view.
    choose_score : choose model and score of each view by the validation anomalies of the other views.
    """

    name: str
    view: Filter
    anomaly: Filter | None
    normal: Filter | None = None
    control: Control | None = None
    choose_score: bool = False

    @classmethod
    def of_entry(cls, name: str, entry: Mapping[str, Any], view: Filter) -> Task:
        """Return the task of a configuration entry (key `tasks`) for runs of `view`."""
        control = entry.get("control")
        return cls(
            name=name,
            view=view,
            anomaly=None if entry["anomaly"] == OUTSIDE_VIEW else entry["anomaly"],
            normal=entry.get("normal"),
            control=Control(**control) if control else None,
            choose_score=bool(entry.get("choose_score", False)),
        )

    def masks(self, obs: pd.DataFrame, split: str) -> TaskRows:
        """Return the task's rows among the rows of `split`.

        obs : (n_obs rows) with column split. DataError if a group is empty, or a row is normal and anomalous.
        """
        if self.anomaly is None:
            anomaly = ~rows_of(obs, self.view, f"task {self.name}, view")
        else:
            anomaly = rows_of(obs, self.anomaly, f"task {self.name}, anomaly")
        of_split = (obs["split"] == split).to_numpy()
        rows = TaskRows(normal=self._normal(obs) & of_split, anomaly=anomaly & of_split)
        self._check_some({"normal": rows.normal, "anomaly": rows.anomaly}, obs, split)
        both = rows.normal & rows.anomaly
        if both.any():
            raise DataError(f"task {self.name}: {both.sum()} {split} rows are normal and anomaly")
        return rows

    def control_rows(self, obs: pd.DataFrame, split: str) -> ControlRows | None:
        """Return the control's rows among the rows of `split`, None without a control; DataError if one is empty."""
        if self.control is None:
            return None
        of_split = (obs["split"] == split).to_numpy()
        negative = rows_of(obs, self.control.negative, f"task {self.name}, control.negative")
        positive = rows_of(obs, self.control.positive, f"task {self.name}, control.positive")
        rows = ControlRows(negative & of_split, positive & of_split)
        self._check_some({"control_negative": rows.negative, "control_positive": rows.positive}, obs, split)
        both = rows.negative & rows.positive
        if both.any():
            raise DataError(f"task {self.name}: {both.sum()} {split} rows are in both groups of the control")
        return rows

    def calibration(self, obs: pd.DataFrame) -> np.ndarray:
        """Return a mask (n_obs,) of the normal validation rows of the view: neither trained on nor tested.

        They set thresholds. DataError if the task has a control, which needs a threshold, and there is no such row.
        """
        rows = self._normal(obs) & rows_of(obs, self.view, f"task {self.name}, view")
        rows &= (obs["split"] == "val").to_numpy()
        if self.control and not rows.any():
            raise DataError(
                f"task {self.name}: no validation row of the view is normal, so there is no threshold for alarms"
            )
        return rows

    def _normal(self, obs: pd.DataFrame) -> np.ndarray:
        return rows_of(obs, self.view if self.normal is None else self.normal, f"task {self.name}, normal")

    def _check_some(self, groups: Mapping[str, np.ndarray], obs: pd.DataFrame, split: str) -> None:
        for key, mask in groups.items():
            if not mask.any():
                n_rows = (obs["split"] == split).sum()
                raise DataError(f"task {self.name}: no {split} row is {key}; the {split} split has {n_rows} rows")


def labelled(values: np.ndarray, negative: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (1 = positive) and values of the rows that either mask (n_obs,) holds; DataError if both do."""
    if (negative & positive).any():
        raise DataError(f"{(negative & positive).sum()} rows are of both groups")
    rows = negative | positive
    return positive[rows].astype(int), values[rows]

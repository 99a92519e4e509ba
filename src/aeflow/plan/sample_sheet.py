"""What a configuration asks of a dataset, held against its sample sheet before anything is fitted or trained.

A value that no row has would filter silently, or fail a job hours later: here it is named with the values there are.
Every job that fits, trains or assesses asks first. No rule does it for them: it would plan all training anew whenever a
task changes, or, with `ancient` on its output, make Snakemake overlook what else has changed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from aeflow.dataset import SPLITS
from aeflow.dataset.covariates import CovariateCodes
from aeflow.errors import ConfigError, DataError
from aeflow.evaluation.task import Task
from aeflow.labels import has_label
from aeflow.plan.grid import asked_of_rows
from aeflow.plan.spelling import hint
from aeflow.views import rows_of

N_SHOWN = 12  # values of a column in a message
FEWEST = {"train": 2, "val": 1, "test": 1}  # rows of a view: one row has no spread


def check_sheet(obs: pd.DataFrame, dataset: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return how many rows there are for everything that is asked of a dataset.

    Parameters
    ----------
    obs : sample sheet (n_obs rows) with column split.
    config : a checked configuration.

    Raises
    ------
    ConfigError : with a line for each fault. A value of a filter that no row has; a view, or a group of a task, without
        rows in a split; a class of a condition that the training rows of a view lack; a judge with one class.
    """
    asked = asked_of_rows(dataset, config)
    views = asked["views"]
    counted: dict[str, Any] = {"n_obs": _by_split(obs), "views": {}, "tasks": {}}
    faults = _Faults(dataset)
    # in three steps: a value that does not exist would be told again as a view, and as a group, without rows
    with faults.told():
        _check_values(obs, asked)
    faults.stop()
    for name, view in views.items():
        with faults.told():
            counted["views"][name] = _rows_of_view(obs, name, view)
    faults.stop()
    for name, entry in asked["tasks"].items():
        for view in entry["views"]:
            with faults.told():
                counted["tasks"][f"{name}, view {view}"] = _rows_of_task(obs, Task.of_entry(name, entry, views[view]))
    for model, condition in asked["conditions"].items():
        for view in condition["views"]:
            with faults.told():
                key = f"models.{model}.condition_on, view {view}"
                _check_condition(obs, key, condition["columns"], views[view])
    with faults.told():
        _check_judge(obs, asked["judge"])
    faults.stop()
    counted["unlabelled"] = {column: _by_split(obs[~has_label(obs[column])]) for column in asked["labels"]}
    return counted


class _Faults:
    """Faults of a dataset's configuration, told at once."""

    def __init__(self, dataset: str):
        self.dataset = dataset
        self.lines: list[str] = []

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Keep the fault that ends the block, and go on."""
        try:
            yield
        except (ConfigError, DataError) as error:
            self.lines += [f"dataset {self.dataset}: {line}" for line in str(error).splitlines()]

    def stop(self) -> None:
        """Raise ConfigError if there were faults."""
        if self.lines:
            raise ConfigError("\n".join(dict.fromkeys(self.lines)))


def _check_values(obs: pd.DataFrame, asked: Mapping[str, Any]) -> None:
    filters = {f"views.{name}": view for name, view in asked["views"].items()}
    for name, task in asked["tasks"].items():
        filters |= {f"tasks.{name}.{k}": task[k] for k in ("normal", "anomaly") if isinstance(task.get(k), Mapping)}
        filters |= {f"tasks.{name}.control.{k}": where for k, where in (task.get("control") or {}).items()}
    faults = []
    for key, where in filters.items():
        for column, allowed in where.items():
            absent = [v for v in allowed if not rows_of(obs, {column: [v]}, key).any()]
            faults += [f"{key}.{column}: no row has {value!r}{_found(obs[column], value)}" for value in absent]
    if faults:
        raise ConfigError("\n".join(faults))


def _found(column: pd.Series, value: Any) -> str:
    """Return what the column holds instead, and what may have been meant."""
    n = column.value_counts()
    values = sorted(n.index.tolist(), key=str)
    shown = ", ".join(f"{v!r} ({n[v]} rows)" for v in values[:N_SHOWN])
    more = f" and {len(values) - N_SHOWN} others" if len(values) > N_SHOWN else ""
    if isinstance(value, bool):
        meant = " (YAML reads yes, no, on and off as true and false)"
    elif str(value) in map(str, values):
        meant = " (quotes make the difference between a number and a text)"
    else:
        meant = hint(value, values) or next((f" (did you mean {v!r}?)" for v in values if _same(v, value)), "")
    return f"{meant}; found: {shown}{more}"


def _same(a: Any, b: Any) -> bool:
    return str(a).strip().casefold() == str(b).strip().casefold()


def _by_split(obs: pd.DataFrame) -> dict[str, int]:
    return {split: int((obs["split"] == split).sum()) for split in SPLITS}


def _rows_of_view(obs: pd.DataFrame, name: str, view: Mapping[str, Sequence]) -> dict[str, int]:
    n = _by_split(obs[rows_of(obs, view, f"views.{name}")])
    for split, least in FEWEST.items():
        if n[split] < least:
            raise ConfigError(f"views.{name}: {dict(view)} leaves {n[split]} {split} rows; {least} are needed at least")
    return n


def _rows_of_task(obs: pd.DataFrame, task: Task) -> dict[str, int]:
    rows = task.masks(obs, "test")
    control = task.control_rows(obs, "test")
    task.calibration(obs)
    if task.choose_score:
        task.masks(obs, "val")
    n = {"normal": rows.normal, "anomaly": rows.anomaly}
    if control is not None:
        n |= {"control_negative": control.negative, "control_positive": control.positive}
    return {group: int(mask.sum()) for group, mask in n.items()}


def _check_condition(obs: pd.DataFrame, key: str, columns: Sequence[str], view: Mapping[str, Sequence]) -> None:
    """Check that a conditional model can be given every row that it will be asked about: of its view, and of the test.

    It is compared with other models on the same test rows, so none may be left out for it alone.
    """
    of_view = obs[rows_of(obs, view, key)]
    codes = CovariateCodes({})
    groups = {
        "training rows of the view": of_view[of_view["split"] == "train"],
        "validation rows of the view": of_view[of_view["split"] == "val"],
        "test rows": obs[obs["split"] == "test"],
    }
    for name, rows in groups.items():
        try:
            codes = codes or CovariateCodes.fit(rows, columns)
            codes.encode(rows)
        except DataError as error:
            raise ConfigError(f"{key}: {name}: {str(error).removeprefix('condition_on: ')}") from None


def _check_judge(obs: pd.DataFrame, column: str | None) -> None:
    if column is None:
        return
    train = obs[column][(obs["split"] == "train").to_numpy()]
    found = sorted(set(train[has_label(train)].astype(str)))
    if len(found) < 2:
        raise ConfigError(
            f"generate.judge: {column} has {len(found)} classes among the training rows, {found}; 2 are needed"
        )

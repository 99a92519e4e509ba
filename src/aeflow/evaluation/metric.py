"""Metric: one number that an evaluation found, and the declaration that says what it means.

A metric is declared once, beside the function that computes it: its name, the direction in which it is better, and its
meaning in one sentence. A number without a declaration is an error. Verdicts, the sorting of leaderboards and the
tables of docs/evaluation.md follow from the declarations alone. On disk metrics are rows of metrics.parquet; names
joined by slashes are made for MLflow and for text.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar, get_args

import pandas as pd
import pyarrow as pa
from pandas.api.types import is_numeric_dtype

from aeflow.errors import DataError, UndefinedError
from aeflow.files import write_frame

log = logging.getLogger(__name__)
Direction = Literal["higher", "lower", "none"]
Found = TypeVar("Found")


class Interval(NamedTuple):
    """A value with the interval in which it lies; NaN where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Declaration:
    """What a metric of one part of the evaluation means.

    direction : "higher" or "lower" is better; "none" where neither is, or where the model has no influence on it.
    of_batch : the direction where the subject is a batch column, such as the study: what a model should not find.
        None means that the part has no such subject.
    """

    part: str
    name: str
    direction: Direction
    meaning: str
    of_batch: Direction | None = None


_DECLARED: dict[tuple[str, str], Declaration] = {}


def declare(
    part: str, name: str, direction: Direction, meaning: str, *, of_batch: Direction | None = None
) -> Declaration:
    """Register a metric and return its declaration; DataError if it is already declared differently."""
    for given in (direction, of_batch):
        if given is not None and given not in get_args(Direction):
            raise DataError(f"metric {part}/{name}: direction must be one of {get_args(Direction)}, found {given!r}")
    if not meaning.strip():
        raise DataError(f"metric {part}/{name}: a declaration needs a meaning")
    new = Declaration(part, name, direction, meaning, of_batch)
    if _DECLARED.setdefault((part, name), new) != new:
        raise DataError(f"metric {part}/{name} is declared twice: {_DECLARED[part, name]} and {new}")
    return new


def declared(part: str, name: str) -> Declaration:
    """Return the declaration of a metric; DataError if there is none."""
    if (part, name) not in _DECLARED:
        known = sorted(n for p, n in _DECLARED if p == part)
        raise DataError(f"metric {name!r} of {part!r} is not declared; declared there: {', '.join(known) or 'none'}")
    return _DECLARED[part, name]


def declarations() -> list[Declaration]:
    """Return every declaration of the modules that are imported, in the order in which they were made."""
    return list(_DECLARED.values())


@dataclass(frozen=True)
class Metric:
    """One number of one run.

    Parameters
    ----------
    part : of the evaluation, e.g. "anomaly".
    subject : what is asked about: a task, a label column, a sampler; "" where the part has one subject only.
    score : what is measured: an anomaly score, a classifier; "" where the part has one only.
    name : of the metric, as declared.
    value, low, high : the number and its interval (NaN where there is none).
    direction : as declared.
    baseline : True for numbers independent of the model; they are in the run of the baseline model.
    """

    part: str
    subject: str
    score: str
    name: str
    value: float
    low: float
    high: float
    direction: Direction
    baseline: bool

    @property
    def text(self) -> str:
        """Return part, subject, score and name joined by slashes: the metric's name in MLflow and in text."""
        return metric_text(self.part, self.subject, self.score, self.name)


METRIC_COLUMNS = tuple(field.name for field in fields(Metric))


def metric_text(part: str, subject: str, score: str, name: str) -> str:
    """Return the words that are not empty, joined by slashes."""
    return "/".join(word for word in (part, subject, score, name) if word)


def measured(
    part: str,
    values: Mapping[str, float | Interval],
    *,
    subject: str = "",
    score: str = "",
    baseline: bool = False,
    batch: bool = False,
) -> list[Metric]:
    """Return declared metrics of {name: value}, in that order; a value that is not finite is left out and logged.

    batch : the subject is a batch column; direction is then the one declared for such a subject.

    Raises
    ------
    DataError : a name that is not declared for `part`, or a batch column where the declaration says nothing of one.
    """
    found = []
    for name, value in values.items():
        about = declared(part, name)
        direction = about.of_batch if batch else about.direction
        if direction is None:
            raise DataError(f"metric {part}/{name}: declares no direction for a batch column such as {subject!r}")
        number = value if isinstance(value, Interval) else Interval(float(value), math.nan, math.nan)
        if not math.isfinite(number.value):
            log.warning("%s is undefined on these rows and left out", metric_text(part, subject, score, name))
            continue
        found.append(Metric(part, subject, score, name, *map(float, number), direction, baseline))
    return found


def defined(what: str, compute: Callable[[], Found], otherwise: Found) -> Found:
    """Return what `compute` returns, or `otherwise` where these data do not define it, which is logged as `what`."""
    try:
        return compute()
    except UndefinedError as error:
        log.warning("%s: left out: %s", what, error)
        return otherwise


def metric_frame(metrics: Iterable[Metric]) -> pd.DataFrame:
    """Return metrics as rows with the columns of `Metric`; DataError if one is there twice."""
    frame = pd.DataFrame([asdict(metric) for metric in metrics], columns=list(METRIC_COLUMNS))
    twice = frame[frame.duplicated(["part", "subject", "score", "name"])]
    if len(twice):
        row = twice.iloc[0]
        raise DataError(
            f"metric {metric_text(row['part'], row['subject'], row['score'], row['name'])!r} is there twice"
        )
    types = dict.fromkeys(("value", "low", "high"), "float64") | {"baseline": "bool"}
    return frame.astype(types)


def write_metrics(metrics: Iterable[Metric], path: str | Path) -> None:
    """Write metrics.parquet."""
    write_frame(metric_frame(metrics), path)


def read_metrics(path: str | Path) -> list[Metric]:
    """Return the metrics of a run; DataError, naming the file, if it does not hold metrics."""
    try:
        frame = pd.read_parquet(path)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: not Parquet: {error}") from error
    if tuple(frame.columns) != METRIC_COLUMNS:
        raise DataError(f"{path}: columns must be {METRIC_COLUMNS}, found {tuple(frame.columns)}")
    for column in ("value", "low", "high"):
        if not is_numeric_dtype(frame[column]):
            raise DataError(f"{path}: column {column!r} must hold numbers, found {frame[column].iloc[0]!r}")
    wrong = sorted(set(frame["direction"]) - set(get_args(Direction)))
    if wrong:
        raise DataError(f"{path}: direction must be one of {get_args(Direction)}, found {wrong[0]!r}")
    return [Metric(**row) for row in frame.to_dict("records")]

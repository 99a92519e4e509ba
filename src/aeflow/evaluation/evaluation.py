"""Evaluation: one question asked of a trained run.

An evaluation is one file below this folder and one entry of the configuration (`evaluations`) that names it as
file.Class. Its metrics are declared in the same file (`aeflow.evaluation.metric.declare`).
"""

from __future__ import annotations

import abc
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from aeflow.evaluation.metric import Metric

if TYPE_CHECKING:
    from aeflow.evaluation.assessment import Assessment


@dataclass
class Findings:
    """What an evaluation found: metrics, and tables that are written beside them as {name}.parquet."""

    metrics: list[Metric] = field(default_factory=list)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


class Evaluation(abc.ABC):
    """A question; its constructor takes the options of its configuration entry as keyword arguments."""

    @abc.abstractmethod
    def evaluate(self, a: Assessment) -> Findings:
        """Return the answer for one run."""


def make_evaluation(entry: Mapping[str, Any]) -> Evaluation:
    """Return the evaluation of a configuration entry: key `evaluation` is file.Class, the others are its options."""
    options = {key: value for key, value in entry.items() if key != "evaluation"}
    module, cls = entry["evaluation"].rsplit(".", 1)
    return getattr(importlib.import_module(f"aeflow.evaluation.{module}"), cls)(**options)

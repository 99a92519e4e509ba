"""Difference of each model's AUROC to PCA's on the same test rows, with an interval over donors.

Seeds are averaged inside each resample of donors, so the interval covers the choice of test donors, given the trained
models; the interval over seeds stands beside it in the leaderboard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aeflow.evaluation.detection.intervals import CONFIDENCE, RECALL, Curve, differ, group_weights
from aeflow.evaluation.task import Task
from aeflow.training.specification import Specification

N_RESAMPLES = 200
# resampling all scores of all runs would take an hour on images
SCORES = ("deviation/squared_error", "proximity/knn", "density/neg_log_likelihood", "combined/max")
COLUMNS = ("view", "model", "part", "subject", "score", "name", "donor_low", "donor_high")


@dataclass(frozen=True)
class _Rows:
    """The test rows of one task and view, and how often each resample draws them."""

    rows: np.ndarray  # (n_obs,) of scores.parquet
    label: np.ndarray
    weights: np.ndarray


def donor_intervals(
    runs: Iterable[tuple[Specification, pd.DataFrame]], obs: pd.DataFrame, tasks: Mapping[str, Any], baseline: str
) -> pd.DataFrame:
    """Return the 95 % interval of model minus baseline for anomaly/{task}/{score}/auroc, one row each, as `COLUMNS`.

    runs : specification and content of scores.parquet of each run of one dataset; obs : of the dataset; tasks : entries
    of the configuration; baseline : name of the model that others are compared with. The ends are NaN where all
    resamples are the same, with one donor in each stratum.
    """
    resampled: dict[tuple[str, str, str], dict[str, dict[int, np.ndarray]]] = {}
    found: dict[tuple[str, str], _Rows] = {}
    for spec, scores in runs:
        for name, entry in tasks.items():
            if spec.view not in entry["views"]:
                continue
            key = spec.view, name
            if key not in found:
                found[key] = _rows(scores, obs, Task.of_entry(name, entry, spec.view_filter))
            of_task = found[key]
            for score in SCORES:
                if score in scores:
                    curve = Curve(of_task.label, scores[score].to_numpy()[of_task.rows])
                    values = curve.metrics(of_task.weights, RECALL)[0]
                    by_model = resampled.setdefault((*key, score), {})
                    by_model.setdefault(spec.model, {})[spec.seed] = values
    out = []
    for (view, task, score), by_model in resampled.items():
        of_baseline = by_model.get(baseline, {})
        for model, by_seed in by_model.items():
            seeds = sorted(set(by_seed) & set(of_baseline))
            if model == baseline or not seeds:
                continue
            difference = np.mean([by_seed[s] - of_baseline[s] for s in seeds], axis=0)
            low, high = np.quantile(difference, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
            if not differ(found[view, task].weights):
                low = high = np.nan
            out.append((view, model, "anomaly", task, score, "auroc", low, high))
    return pd.DataFrame(out, columns=list(COLUMNS))


def _rows(scores: pd.DataFrame, obs: pd.DataFrame, task: Task) -> _Rows:
    sheet = obs.set_index("sample_id", drop=False).loc[scores["sample_id"]].reset_index(drop=True)
    of_task = task.masks(sheet, "test")
    groups = sheet["donor_id" if "donor_id" in sheet else "sample_id"].to_numpy()[of_task.either]
    weights = group_weights(of_task.label, groups, N_RESAMPLES, np.random.default_rng(0))
    return _Rows(of_task.either, of_task.label, weights)

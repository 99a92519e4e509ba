"""Difference of each model's AUROC to PCA's on the same test rows, with an interval over donors.

Seeds are averaged inside each resample of donors, so the interval covers the choice of test donors, given the trained
models; the interval over seeds stands beside it in the leaderboard.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from aeflow.evaluation.detection.anomaly import task_rows
from aeflow.evaluation.detection.intervals import CONFIDENCE, RECALL, Curve, group_weights

BASELINE = "pca"
N_RESAMPLES = 200
# resampling all scores of all runs would take an hour on images
SCORES = ("deviation/squared_error", "proximity/knn", "density/neg_log_likelihood", "combined/max")
COLUMNS = ("view", "model", "metric", "donor_low", "donor_high")


def donor_intervals(
    runs: Iterable[tuple[dict[str, Any], pd.DataFrame]], obs: pd.DataFrame, tasks: dict[str, Any]
) -> pd.DataFrame:
    """Return one row per view, model and metric anomaly/{task}/{score}/auroc: the 95 % interval of model minus PCA.

    runs : (model.json, content of scores.parquet) of each run of one dataset; obs : of the dataset.
    """
    resampled: dict[tuple[str, str, str], dict[str, dict[int, np.ndarray]]] = {}
    masks: dict[tuple[str, str], tuple] = {}
    for info, scores in runs:
        for name, task in tasks.items():
            if info["view"] not in task["views"]:
                continue
            key = info["view"], name
            if key not in masks:
                masks[key] = _rows(scores, obs, task, info["view_filter"], name)
            rows, label, weights = masks[key]
            for score in SCORES:
                if score in scores:
                    values = Curve(label, scores[score].to_numpy()[rows]).metrics(weights, RECALL)[0]
                    by_model = resampled.setdefault((*key, score), {})
                    by_model.setdefault(info["model"], {})[info["seed"]] = values
    out = []
    for (view, task, score), by_model in resampled.items():
        for model, by_seed in by_model.items():
            seeds = sorted(set(by_seed) & set(by_model.get(BASELINE, {})))
            if model == BASELINE or not seeds:
                continue
            difference = np.mean([by_seed[s] - by_model[BASELINE][s] for s in seeds], axis=0)
            low, high = np.quantile(difference, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
            out.append((view, model, f"anomaly/{task}/{score}/auroc", low, high))
    return pd.DataFrame(out, columns=list(COLUMNS))


def _rows(scores: pd.DataFrame, obs: pd.DataFrame, task: dict, view: dict, name: str) -> tuple:
    sheet = obs.set_index("sample_id", drop=False).loc[scores["sample_id"]].reset_index(drop=True)
    found = task_rows(sheet, task, view, name)
    rows = found["normal"] | found["anomaly"]
    label = found["anomaly"][rows]
    groups = sheet["donor_id" if "donor_id" in sheet else "sample_id"].to_numpy()[rows]
    return rows, label, group_weights(label, groups, N_RESAMPLES, np.random.default_rng(0))

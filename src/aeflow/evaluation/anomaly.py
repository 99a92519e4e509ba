"""How well scores separate anomalies from normal observations, with the control that belongs to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from aeflow.errors import DataError
from aeflow.views import rows_of

OUTSIDE_VIEW = "outside_view"  # task.anomaly: every test row that the run's view does not allow


def task_rows(obs: pd.DataFrame, task: dict[str, Any], view: dict[str, list], name: str) -> dict[str, np.ndarray]:
    """Return masks (n_obs,) of test rows: normal, anomaly and, where the task has one, its control's two groups."""
    normal = rows_of(obs, task.get("normal", view), f"task {name}, normal")
    if task["anomaly"] == OUTSIDE_VIEW:
        anomaly = ~rows_of(obs, view, f"task {name}, view")
    else:
        anomaly = rows_of(obs, task["anomaly"], f"task {name}, anomaly")
    masks = {"normal": normal, "anomaly": anomaly}
    for side, where in task.get("control", {}).items():
        masks[f"control_{side}"] = rows_of(obs, where, f"task {name}, control.{side}")
    masks = {key: mask & (obs["split"] == "test").to_numpy() for key, mask in masks.items()}
    empty = [key for key, mask in masks.items() if not mask.any()]
    if empty:
        raise DataError(f"task {name}: no test row is {empty[0]}; the test split has {(obs['split'] == 'test').sum()}")
    if (masks["normal"] & masks["anomaly"]).any():
        raise DataError(f"task {name}: {(masks['normal'] & masks['anomaly']).sum()} test rows are normal and anomaly")
    return masks


def labelled(scores: np.ndarray, negative: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (1 = positive) and scores of the rows in either mask."""
    rows = negative | positive
    return positive[rows].astype(int), scores[rows]


def anomaly_metrics(scores: pd.DataFrame, masks: dict[str, np.ndarray]) -> dict[str, float]:
    """Return {score}/auroc, auprc and control_auroc for every score column of `scores` (rows as in the masks).

    control_auroc is the AUROC of the same score for the control's positive against its negative group, e.g. normal
    TCGA against normal GTEx: near 0.5 when the score does not detect the study.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    metrics = {"n_normal": int(masks["normal"].sum()), "n_anomaly": int(masks["anomaly"].sum())}
    for name in score_columns(scores):
        label, value = labelled(scores[name].to_numpy(), masks["normal"], masks["anomaly"])
        metrics[f"{name}/auroc"] = float(roc_auc_score(label, value))
        metrics[f"{name}/auprc"] = float(average_precision_score(label, value))
        if "control_positive" in masks:
            control = labelled(scores[name].to_numpy(), masks["control_negative"], masks["control_positive"])
            metrics[f"{name}/control_auroc"] = float(roc_auc_score(*control))
    return metrics


def score_columns(scores: pd.DataFrame) -> list[str]:
    """Return the names of score columns, family/score."""
    return [column for column in scores.columns if "/" in column]

"""How well scores separate anomalies from normal observations, with the control that belongs to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from aeflow.errors import DataError
from aeflow.views import rows_of

FALSE_ALARMS = 0.05  # share of calibration rows above the threshold of the control's alarm rates
OUTSIDE_VIEW = "outside_view"  # task.anomaly: every test row that the run's view does not allow


def task_rows(obs: pd.DataFrame, task: dict[str, Any], view: dict[str, list], name: str) -> dict[str, np.ndarray]:
    """Return masks (n_obs,) of test rows: normal, anomaly and, where the task has one, its control's two groups.

    "calibration" are normal validation rows of the view: neither trained on nor tested, they set thresholds.
    """
    normal, anomaly = _kinds(obs, task, view, name)
    masks = {"normal": normal, "anomaly": anomaly}
    for side, where in task.get("control", {}).items():
        masks[f"control_{side}"] = rows_of(obs, where, f"task {name}, control.{side}")
    calibration = normal & rows_of(obs, view, f"task {name}, view") & (obs["split"] == "val").to_numpy()
    masks = {key: mask & (obs["split"] == "test").to_numpy() for key, mask in masks.items()}
    empty = [key for key, mask in masks.items() if not mask.any()]
    if empty:
        raise DataError(f"task {name}: no test row is {empty[0]}; the test split has {(obs['split'] == 'test').sum()}")
    if (masks["normal"] & masks["anomaly"]).any():
        raise DataError(f"task {name}: {(masks['normal'] & masks['anomaly']).sum()} test rows are normal and anomaly")
    if "control" in task and not calibration.any():
        raise DataError(f"task {name}: no validation row of the view is normal, so there is no threshold for alarms")
    return masks | {"calibration": calibration}


def _kinds(obs: pd.DataFrame, task: dict[str, Any], view: dict[str, list], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return masks (n_obs,) of normal and anomalous rows of every split."""
    normal = rows_of(obs, task.get("normal", view), f"task {name}, normal")
    if task["anomaly"] == OUTSIDE_VIEW:
        return normal, ~rows_of(obs, view, f"task {name}, view")
    return normal, rows_of(obs, task["anomaly"], f"task {name}, anomaly")


def validation_metrics(
    scores: pd.DataFrame, obs: pd.DataFrame, task: dict[str, Any], view: dict[str, list], name: str
) -> dict[str, float]:
    """Return {score}/auroc among validation rows, for every score; obs as the rows of scores.

    Never of help to the view itself: its own anomalies would be known. `aeflow.comparison.across_views` chooses by
    those of the other views.
    """
    from sklearn.metrics import roc_auc_score

    val = (obs["split"] == "val").to_numpy()
    normal, anomaly = (mask & val for mask in _kinds(obs, task, view, name))
    if not normal.any() or not anomaly.any():
        raise DataError(f"task {name}: {normal.sum()} validation rows are normal, {anomaly.sum()} anomalous")
    columns = score_columns(scores)
    return {f"{c}/auroc": float(roc_auc_score(*labelled(scores[c].to_numpy(), normal, anomaly))) for c in columns}


def labelled(scores: np.ndarray, negative: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (1 = positive) and scores of the rows in either mask."""
    rows = negative | positive
    return positive[rows].astype(int), scores[rows]


def anomaly_metrics(scores: pd.DataFrame, masks: dict[str, np.ndarray]) -> dict[str, float]:
    """Return {score}/auroc, auprc and control metrics for every score column of `scores` (rows as in the masks).

    control_auroc is the AUROC of the same score for the control's positive against its negative group, e.g. normal
    TCGA against normal GTEx: near 0.5 when the score does not detect the study. control_negative_alarms and
    control_positive_alarms are the shares of the two groups above the threshold that 5 % of calibration rows exceed.
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
            threshold = np.quantile(scores[name][masks["calibration"]], 1 - FALSE_ALARMS)
            for side in ("control_negative", "control_positive"):
                metrics[f"{name}/{side}_alarms"] = float((scores[name][masks[side]] > threshold).mean())
    return metrics


def score_columns(scores: pd.DataFrame) -> list[str]:
    """Return the names of score columns, family/score."""
    return [column for column in scores.columns if "/" in column]

"""How well scores separate anomalies from normal observations, with the control that belongs to it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aeflow.evaluation.assessment import Assessment
from aeflow.evaluation.detection.conformal import conformal_metrics
from aeflow.evaluation.detection.intervals import detection_intervals
from aeflow.evaluation.evaluation import Evaluation, Findings
from aeflow.evaluation.metric import Metric, declare, measured
from aeflow.evaluation.task import Task, labelled
from aeflow.scoring.names import is_baseline, score_columns

FALSE_ALARMS = 0.05  # share of calibration rows above the threshold of the control's alarm rates
N_RESAMPLES = 200  # of donors, for the interval of every detection metric

_INTERVAL = "with a 95 % bootstrap interval over test donors (200 resamples; images: over images)"
declare("anomaly", "auroc", "higher", f"Area under the ROC curve, anomalies against normal rows, {_INTERVAL}.")
declare("anomaly", "auprc", "higher", f"Area under the precision-recall curve, {_INTERVAL}.")
declare(
    "anomaly",
    "fpr_at_95_recall",
    "lower",
    f"Share of normal rows above the threshold that finds 95 % of the anomalies, {_INTERVAL}.",
)
declare("anomaly", "n_normal", "none", "Normal test rows.")
declare("anomaly", "n_anomaly", "none", "Anomalous test rows.")
declare(
    "anomaly",
    "control_auroc",
    "none",
    "The same score, the normals of one study against those of the other: 0.5 is right.",
)
declare(
    "anomaly",
    "control_negative_alarms",
    "none",
    "Share of the first study's test normals above the threshold that 5 % of the validation normals exceed.",
)
declare("anomaly", "control_positive_alarms", "none", "The same share of the second study's test normals.")
declare(
    "validation",
    "auroc",
    "none",
    "Area under the ROC curve among validation rows: by those of the other views a task with `choose_score` chooses.",
)


class Detection(Evaluation):
    """Every score on the test rows of every task of the run."""

    def evaluate(self, a: Assessment) -> Findings:
        found: list[Metric] = []
        for task in a.tasks:
            found += detection_metrics(a.scores, a.calibrated, a.scored_obs, task, a.seed)
            if task.choose_score:
                found += validation_metrics(a.scores, a.scored_obs, task)
        return Findings(found)


def detection_metrics(
    scores: pd.DataFrame, p_values: pd.DataFrame, obs: pd.DataFrame, task: Task, seed: int
) -> list[Metric]:
    """Return the metrics of one task for every score.

    Parameters
    ----------
    scores : sample_id, split and a column per score; obs : annotations of the same rows.
    p_values : sample_id and p:{score} of the test rows, in the order of `scores`.
    """
    rows = task.masks(obs, "test")
    control = task.control_rows(obs, "test")
    calibration = task.calibration(obs)
    groups = obs["donor_id" if "donor_id" in obs else "sample_id"].to_numpy()[rows.either]
    either_of_test = rows.either[(obs["split"] == "test").to_numpy()]
    found = measured("anomaly", {"n_normal": rows.normal.sum(), "n_anomaly": rows.anomaly.sum()}, subject=task.name)
    names = score_columns(scores)
    of_either = {name: scores[name].to_numpy()[rows.either] for name in names}
    intervals = detection_intervals(rows.label, of_either, groups, n_resamples=N_RESAMPLES, seed=seed)
    for name in names:
        values = scores[name].to_numpy()
        about = {"subject": task.name, "score": name, "baseline": is_baseline(name)}
        found += measured("anomaly", intervals[name], **about)
        if control is not None:
            threshold = np.quantile(values[calibration], 1 - FALSE_ALARMS)
            of_control = {
                "control_auroc": auroc(values, control.negative, control.positive),
                "control_negative_alarms": (values[control.negative] > threshold).mean(),
                "control_positive_alarms": (values[control.positive] > threshold).mean(),
            }
            found += measured("anomaly", of_control, **about)
        p = p_values[f"p:{name}"].to_numpy()[either_of_test]
        found += measured("conformal", conformal_metrics(p, rows.label), **about)
    return found


def validation_metrics(scores: pd.DataFrame, obs: pd.DataFrame, task: Task) -> list[Metric]:
    """Return the AUROC among validation rows, for every score; obs as the rows of scores.

    A view never uses its own: its anomalies would be known. `aeflow.comparison.across_views` chooses by those of the
    other views.
    """
    rows = task.masks(obs, "val")
    found: list[Metric] = []
    for name in score_columns(scores):
        value = auroc(scores[name].to_numpy(), rows.normal, rows.anomaly)
        found += measured("validation", {"auroc": value}, subject=task.name, score=name, baseline=is_baseline(name))
    return found


def auroc(values: np.ndarray, negative: np.ndarray, positive: np.ndarray) -> float:
    """Return the area under the ROC curve of values (n_obs,) for two masks (n_obs,); ties count half."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(*labelled(values, negative, positive)))

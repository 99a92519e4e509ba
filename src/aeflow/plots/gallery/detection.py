"""Anomaly detection by several models."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from aeflow.errors import DataError
from aeflow.evaluation.detection.anomaly import labelled
from aeflow.plots.detection import roc_curves
from aeflow.plots.gallery.material import Material, Run
from aeflow.plots.style import PALETTE

SCORE = "deviation/squared_error"
BASELINE = "baseline/squared_distance_to_mean"  # knows no model


def roc(m: Material) -> Figure:
    """Return ROC curves of the squared error of each model and of the score that knows none, with their controls."""
    if len(m.runs) >= len(PALETTE):
        raise DataError(f"figure roc: {len(m.runs)} models, there are colours for {len(PALETTE) - 1}")
    scores = {run.name: _scores(m, run, SCORE) for run in m.runs.values()}
    scores["no model, distance to mean"] = _scores(m, next(iter(m.runs.values())), BASELINE)
    sides = {side: m.test_mask(side) for side in m.masks}
    pairs = {name: labelled(value, sides["normal"], sides["anomaly"]) for name, value in scores.items()}
    control = None
    if "control_positive" in sides:
        control = {n: labelled(v, sides["control_negative"], sides["control_positive"]) for n, v in scores.items()}
    return roc_curves(
        pairs,
        origin=m.info["origin"],
        title=m.title("Anomalies by reconstruction error"),
        control=control,
        control_name=m.control,
    )


def _scores(m: Material, run: Run, column: str) -> np.ndarray:
    """Return one score (n_test,) in the order of the test rows."""
    if column not in run.scores.columns:
        raise DataError(f"figure roc: {run.name!r} has no score {column!r}; it has {list(run.scores.columns)}")
    return run.scores.set_index("sample_id").loc[m.test.obs["sample_id"], column].to_numpy()

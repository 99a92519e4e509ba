"""The figures of one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aeflow.evaluation.detection.anomaly import labelled, score_columns, task_rows
from aeflow.plots.expression_draws import expression_draws
from aeflow.plots.image_grids import image_grid
from aeflow.plots.loss_curves import training_curve
from aeflow.plots.roc_curves import roc_curves

GRID = (5, 10)  # rows and columns of generated images
SAMPLERS = {
    "prior": "Draws of the model",
    "normal": "Decoded N(0, 1)",
    "gmm": "Decoded mixture of Gaussians",
    "posterior": "Posterior draws of training rows",
}


def detection_figures(
    scores: pd.DataFrame,
    obs: pd.DataFrame,
    model: Mapping[str, Any],
    view: Mapping[str, list],
    tasks: Mapping[str, Any],
) -> dict[str, Figure]:
    """Return {roc_{task}: figure} of a run's tasks; `scores` and `obs` as in their files."""
    obs = obs.set_index("sample_id", drop=False).loc[scores["sample_id"]].reset_index(drop=True)
    figures = {}
    for name, task in tasks.items():
        masks = task_rows(obs, task, view, name)
        columns = score_columns(scores)
        pairs = {c: labelled(scores[c].to_numpy(), masks["normal"], masks["anomaly"]) for c in columns}
        control, control_name = None, ""
        if "control" in task:
            control_name = " vs ".join(_words(task["control"][side]) for side in ("negative", "positive"))
            sides = masks["control_negative"], masks["control_positive"]
            control = {c: labelled(scores[c].to_numpy(), *sides) for c in columns}
        title = f"{name}: {model['model']} trained on {model['view']}, seed {model['seed']}"
        figures[f"roc_{name}"] = roc_curves(
            pairs, origin=model["origin"], title=title, control=control, control_name=control_name
        )
    return figures


def _words(where: Mapping[str, list]) -> str:
    return " ".join(str(value) for values in where.values() for value in values)


def training_figure(history: pd.DataFrame, model: Mapping[str, Any]) -> Figure:
    """Return the losses per epoch of a run."""
    title = f"{model['model']} on {model['dataset']}, view {model['view']}, seed {model['seed']}"
    return training_curve(history, origin=model["origin"], title=title, best_epoch=model["best_epoch"])


def draws_figures(
    draws: Mapping[str, np.ndarray], real: np.ndarray | None, model: Mapping[str, Any]
) -> dict[str, Figure]:
    """Return {generated_{sampler}: figure} of draws {sampler: (n_draws, n_vars)}, in the unit before scaling.

    real : test rows of the run's view (n_obs, n_vars), in the same unit, which drawn expression is shown beside; None
        for images, which are shown alone.
    """
    figures = {}
    for sampler, x in draws.items():
        title = (
            f"{SAMPLERS[sampler]}: {model['model']}, view {model['view']} of {model['dataset']}, seed {model['seed']}"
        )
        if real is None:
            figure = image_grid(x, *GRID, origin=model["origin"], title=title)
        else:
            figure = expression_draws(real, x, model["unit_before_scale"], origin=model["origin"], title=title)
        figures[f"generated_{sampler}"] = figure
    return figures

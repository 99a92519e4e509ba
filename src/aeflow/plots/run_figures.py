"""The figures of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aeflow.evaluation.task import Task, labelled
from aeflow.plots.expression_draws import expression_draws
from aeflow.plots.image_grids import image_grid
from aeflow.plots.loss_curves import training_curve
from aeflow.plots.roc_curves import roc_curves
from aeflow.scoring.names import score_columns
from aeflow.training.specification import Specification

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
    spec: Specification,
    tasks: Sequence[Task],
) -> dict[str, Figure]:
    """Return {roc_{task}: figure} of a run's tasks; `scores` and `obs` as in their files."""
    obs = obs.set_index("sample_id", drop=False).loc[scores["sample_id"]].reset_index(drop=True)
    figures = {}
    for task in tasks:
        rows = task.masks(obs, "test")
        sides = task.control_rows(obs, "test")
        columns = score_columns(scores)
        pairs = {c: labelled(scores[c].to_numpy(), rows.normal, rows.anomaly) for c in columns}
        control, control_name = None, ""
        if sides is not None:
            control_name = f"{_words(task.control.negative)} vs {_words(task.control.positive)}"
            control = {c: labelled(scores[c].to_numpy(), sides.negative, sides.positive) for c in columns}
        title = f"{task.name}: {spec.model} trained on {spec.view}, seed {spec.seed}"
        figures[f"roc_{task.name}"] = roc_curves(
            pairs, origin=spec.origin, title=title, control=control, control_name=control_name
        )
    return figures


def _words(where: Mapping[str, list]) -> str:
    return " ".join(str(value) for values in where.values() for value in values)


def training_figure(history: pd.DataFrame, spec: Specification) -> Figure:
    """Return the losses per epoch of a run."""
    title = f"{spec.model} on {spec.dataset}, view {spec.view}, seed {spec.seed}"
    return training_curve(history, origin=spec.origin, title=title, best_epoch=spec.best_epoch)


def draws_figures(draws: Mapping[str, np.ndarray], real: np.ndarray | None, spec: Specification) -> dict[str, Figure]:
    """Return {generated_{sampler}: figure} of draws {sampler: (n_draws, n_vars)}, in the unit before scaling.

    real : test rows of the run's view (n_obs, n_vars), in the same unit, which drawn expression is shown beside; None
        for images, which are shown alone.
    """
    figures = {}
    for sampler, x in draws.items():
        title = f"{SAMPLERS[sampler]}: {spec.model}, view {spec.view} of {spec.dataset}, seed {spec.seed}"
        if real is None:
            figure = image_grid(x, *GRID, origin=spec.origin, title=title)
        else:
            figure = expression_draws(real, x, spec.unit_before_scale, origin=spec.origin, title=title)
        figures[f"generated_{sampler}"] = figure
    return figures

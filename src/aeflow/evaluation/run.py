"""All metrics of one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from aeflow.evaluation.anomaly import anomaly_metrics, task_rows
from aeflow.evaluation.generation import moment_agreement
from aeflow.evaluation.reconstruction import likelihood_metrics, reconstruction_metrics
from aeflow.run_folder import read_draws, read_view, unscaled
from aeflow.views import some_rows_of


def run_metrics(
    scores: pd.DataFrame, obs: pd.DataFrame, model: dict[str, Any], view: dict[str, list], tasks: dict[str, Any]
) -> dict[str, float]:
    """Return the metrics of one run from its scores, as {slash-separated name: number}.

    Reconstruction and likelihood are means over the test rows that the run's view allows.
    """
    obs = obs.set_index("sample_id", drop=False).loc[scores["sample_id"]].reset_index(drop=True)
    in_view = some_rows_of(obs, view, "view") & (obs["split"] == "test").to_numpy()
    parts = {"reconstruction/test": reconstruction_metrics(scores[in_view], model["n_vars"])}
    if model["outcome"]:
        parts["likelihood/test"] = likelihood_metrics(scores[in_view], model["outcome"])
    for name, task in tasks.items():
        parts[f"anomaly/{name}"] = anomaly_metrics(scores, task_rows(obs, task, view, name))
    return {f"{prefix}/{key}": value for prefix, metrics in parts.items() for key, value in metrics.items()}


def draw_metrics(draws: Path, X_test: Path, obs: Path, var: Path, view: dict[str, list]) -> dict[str, float]:
    """Return how well generated observations agree with the test rows that the run's view allows."""
    real = read_view(X_test, obs, var, view)
    agreement = moment_agreement(unscaled(real.X, real.var), read_draws(draws))
    return {f"generation/test/{key}": value for key, value in agreement.items()}

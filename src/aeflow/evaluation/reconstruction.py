"""How much of held-out observations a model gives back, and how well it fits them as a density."""

from __future__ import annotations

import pandas as pd


def reconstruction_metrics(scores: pd.DataFrame, n_vars: int) -> dict[str, float]:
    """Return metrics over the rows of `scores` (test rows of the run's view).

    mse : mean over rows and variables, in squared units of the dataset.
    explained_variance : 1 - squared error / squared distance to the training mean; 0 is the mean's, 1 perfect.
    """
    error, null = scores["deviation/squared_error"], scores["baseline/squared_distance_to_mean"]
    return {"mse": float(error.mean() / n_vars), "explained_variance": float(1 - error.sum() / null.sum())}


def likelihood_metrics(scores: pd.DataFrame, outcome: str) -> dict[str, float]:
    """Return the mean negative log-likelihood in nats per observation.

    The name holds the kind of outcome ("continuous" or "binary"): a density and a probability do not compare.
    """
    return {f"{outcome}/neg_log_likelihood": float(scores["density/neg_log_likelihood"].mean())}

"""Reconstruction error and likelihood of held-out observations."""

from __future__ import annotations

import math

from aeflow.evaluation.assessment import Assessment
from aeflow.evaluation.evaluation import Evaluation, Findings
from aeflow.evaluation.metric import declare, measured
from aeflow.views import some_rows_of

declare("reconstruction", "mse", "lower", "Mean squared error over rows and variables, in squared units of x.")
declare(
    "reconstruction",
    "explained_variance",
    "higher",
    "1 - squared error / squared distance to the training mean: 0 is what the mean gives, 1 is perfect.",
)
declare(
    "likelihood",
    "neg_log_likelihood",
    "lower",
    "Mean of -log p(x) in nats per observation. `continuous` (a density), `binary` and `counts` (probabilities) never "
    "compare. PCA's is exact, others are importance-weighted with `scores.n_importance` draws.",
)


class Reconstruction(Evaluation):
    """Means over the test rows that the run's view allows."""

    def evaluate(self, a: Assessment) -> Findings:
        in_view = some_rows_of(a.scored_obs, a.view, "view")
        rows = in_view & (a.scored_obs["split"] == "test").to_numpy()
        error = a.score("deviation/squared_error")[rows]
        null = a.score("baseline/squared_distance_to_mean")[rows]
        found = measured(
            "reconstruction",
            {
                "mse": error.mean() / a.run.spec.n_vars,
                # rows that all equal the training mean have no variance to explain
                "explained_variance": 1 - error.sum() / null.sum() if null.sum() > 0 else math.nan,
            },
            subject="test",
        )
        if a.run.spec.outcome:
            value = a.score("density/neg_log_likelihood")[rows].mean()
            found += measured("likelihood", {"neg_log_likelihood": value}, subject="test", score=a.run.spec.outcome)
        return Findings(found)

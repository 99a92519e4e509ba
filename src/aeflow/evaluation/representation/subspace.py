"""The span of a linear model's loadings beside PCA's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aeflow.evaluation.evaluation import Evaluation, Findings
from aeflow.evaluation.metric import declare, defined, measured
from aeflow.evaluation.representation.clusters import subspace_angles_degrees
from aeflow.run import Run

if TYPE_CHECKING:
    from aeflow.evaluation.assessment import Assessment

_ANGLES = "principal angles between the span of a linear model's loadings and the baseline's"
declare("representation", "largest_angle", "lower", f"Largest of the {_ANGLES}, in degrees.")
declare("representation", "mean_squared_sine", "lower", f"Mean squared sine of the {_ANGLES}: 0 is the same subspace.")
declare(
    "representation",
    "direction_agreement",
    "higher",
    "Mean |cosine| of the left singular vectors of the loadings with the baseline's directions, in order.",
)


class Subspace(Evaluation):
    """Loadings of a linear model beside those of the baseline's run."""

    def evaluate(self, a: Assessment) -> Findings:
        if a.companions.baseline_run is None:
            return Findings()
        baseline = Run.open(a.companions.baseline_run, device=a.run.device)
        values = defined("subspace", lambda: subspace_metrics(a.run.loadings(), baseline.loadings()), {})
        return Findings(measured("representation", values, subject="subspace"))


def subspace_metrics(loadings: np.ndarray, pca_loadings: np.ndarray) -> dict[str, float]:
    """Return the angles between the span of loadings (n_vars, L) and PCA's, in degrees, and of single directions.

    direction_agreement : mean |cosine| of the left singular vectors of `loadings` with PCA's directions, in order.
    """
    k = min(loadings.shape[1], pca_loadings.shape[1])
    angles = subspace_angles_degrees(loadings, pca_loadings)
    u, _, _ = np.linalg.svd(loadings.astype(np.float64), full_matrices=False)
    cosines = np.abs((u[:, :k] * pca_loadings[:, :k]).sum(0)) / np.linalg.norm(pca_loadings[:, :k], axis=0)
    return {
        "largest_angle": float(angles[0]),
        "mean_squared_sine": float(np.mean(np.sin(np.radians(angles)) ** 2)),
        "direction_agreement": float(cosines.mean()),
    }

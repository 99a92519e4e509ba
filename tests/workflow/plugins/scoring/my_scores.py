"""Scores of single variables: my_scores/largest_error = max_j |x_j - x_hat_j|."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aeflow.models.base import Batch
from aeflow.scoring.family import ScoreFamily
from aeflow.scoring.forward import reconstruct_all


class MyScores(ScoreFamily):
    """The one variable that is given back worst."""

    def scores(self, rows: Batch, z: np.ndarray, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        x_hat = reconstruct_all(self.reference.model, rows)
        return {"my_scores/largest_error": (rows.x - x_hat).abs().amax(1).double().cpu().numpy()}

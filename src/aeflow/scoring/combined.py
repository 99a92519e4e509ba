"""Combined: one score of each kind, made comparable; their maximum and their mean.

u_j = (t_j - mean_j) / sd_j,  t_j = log s_j, or s_j where it is a log-density already, in nats
combined/max = max_j u_j,  combined/mean = mean_j u_j,  j over the first score of each of `KINDS` that the model has:
deviation from the reconstruction, deviation of its latents, improbability of the latents.

Deviations are positive and skewed, hence the logarithm. Values below FLOOR times their median are raised to it;
otherwise one exact zero would dominate sd_j. Mean and sd are those of *validation* rows of the view. Training rows
would be optimistic to different degrees: a reconstruction fitted to them has too small an error, a latent cycle less
so, and the maximum would follow whichever score overfits most. Validation rows are neither trained on nor tested and
hold no anomaly, but early stopping has used them. Where there are none, training rows are used.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aeflow.models.base import Batch
from aeflow.scoring.density import GMM, LatentMixture
from aeflow.scoring.deviation import Deviation
from aeflow.scoring.family import Reference, ScoreFamily
from aeflow.scoring.forward import MAX_REFERENCE, encode_all, some_rows

KINDS = (("deviation/sap", "deviation/squared_error"), ("deviation/latent_cycle",), (GMM,))
LOG_DENSITIES = "density/"
FLOOR = 1e-3
ROUNDING = 1e-9  # relative spread below which calibration rows are all alike


class Combined(ScoreFamily):
    """Scores of three kinds on one scale, that of the calibration rows; their maximum and their mean."""

    def __init__(self, reference: Reference):
        super().__init__(reference)
        rows = reference.calibration
        if rows is None:
            rows = some_rows(reference.rows, MAX_REFERENCE, reference.seed)
        self.expected = reference.fitted(Deviation).of_rows(rows)
        self.expected[GMM] = reference.fitted(LatentMixture).neg_log_density(encode_all(reference.model, rows))

    def scores(self, rows: Batch, z: np.ndarray, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        mine = dict(found)
        if GMM not in mine:  # the configuration may name this family alone
            mine[GMM] = self.reference.fitted(LatentMixture).neg_log_density(z)
        if "deviation/squared_error" not in mine:
            mine |= self.reference.fitted(Deviation).of_rows(rows)
        return combined_scores(mine, self.expected)


def combined_scores(scores: Mapping[str, np.ndarray], calibration: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return combined/max and combined/mean (n_obs,), in standard deviations of the calibration rows.

    scores, calibration : the same scores of the rows asked for and of the calibration rows. A deviation that is 0 for
    half of the calibration rows takes no part, nor does a score that is the same for all of them.
    """
    parts = []
    for names in KINDS:
        name = next((name for name in names if name in scores), None)
        if name is None:
            continue
        values, expected = scores[name], calibration[name]
        if not name.startswith(LOG_DENSITIES):
            least = FLOOR * np.median(expected)
            if least <= 0:
                continue
            values, expected = (np.log(np.maximum(v, least)) for v in (values, expected))
        mean = expected.mean()
        sd = expected.std()
        if sd > ROUNDING * abs(mean):
            parts.append((values - mean) / sd)
    return {"combined/max": np.max(parts, axis=0), "combined/mean": np.mean(parts, axis=0)} if parts else {}

"""Combined: several scores made comparable, and their maximum or mean.

u_j = (log s_j - mean_j) / sd_j,  combined/max = max_j u_j,  combined/mean = mean_j u_j,  j over `COMBINED`.

Scores are positive and skewed, hence the logarithm; values below FLOOR times their median count as that, so that one
exact zero does not decide sd_j. Mean and sd are those of *validation* rows of the view. Training rows would be
optimistic, and unequally so: a reconstruction fitted to them has too small an error, a neighbour search does not, and
the maximum would follow whichever score overfits most. Validation rows were not trained on, are not tested on, and
carry no anomaly; early stopping has read them already. Where there are none, training rows stand in, and none is its
own neighbour.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

COMBINED = ("deviation/squared_error", "deviation/latent_cycle", "proximity/knn")
FLOOR = 1e-3


def combined_scores(scores: Mapping[str, np.ndarray], calibration: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return combined/max and combined/mean (n_obs,), in standard deviations of the calibration rows.

    scores, calibration : the same scores of the rows asked for and of the calibration rows. A score of COMBINED that
    the model does not have, or that is 0 for half of the calibration rows, takes no part.
    """
    parts = []
    for name in COMBINED:
        if name not in scores:
            continue
        least = FLOOR * np.median(calibration[name])
        if least > 0:
            parts.append(standardised_log(scores[name], calibration[name], least))
    return {"combined/max": np.max(parts, axis=0), "combined/mean": np.mean(parts, axis=0)} if parts else {}


def standardised_log(values: np.ndarray, calibration: np.ndarray, least: float) -> np.ndarray:
    """Return log values standardised by mean and deviation of the log calibration values, all floored at `least`."""
    reference = np.log(np.maximum(calibration, least))
    sd = reference.std()
    return (np.log(np.maximum(values, least)) - reference.mean()) / (sd if sd > 0 else 1)

"""How much generated observations resemble held-out ones."""

from __future__ import annotations

import numpy as np


def moment_agreement(real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """Return Pearson correlations over variables of mean and standard deviation, real against generated.

    real : (n_obs, n_vars) held-out rows; generated : (n_draws, n_vars); both in the same unit. A variable set that
    does not vary has no correlation and gives 0.
    """
    return {
        "mean_r": _pearson(real.mean(0), generated.mean(0)),
        "sd_r": _pearson(real.std(0), generated.std(0)),
        "sd_ratio": float(generated.std(0).mean() / max(real.std(0).mean(), 1e-12)),
    }


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])

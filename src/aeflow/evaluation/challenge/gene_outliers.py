"""Aberrant genes: outliers injected into held-out normals, to be found by a model's residuals.

OUTRIDER's question (Brechtmann et al. 2018), in standardised space: single entries are set to |z| training standard
deviations from their gene's training mean, up or down. A model that explains tissue, sex and quality leaves a residual
in which such an entry stands out; the per-gene z-score, the floor, sees it among the natural spread of all tissues.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aeflow.errors import DataError, UndefinedError
from aeflow.evaluation.checks import matrix

MAGNITUDES = (3.0, 6.0)
FREQUENCY = 1e-3
NO_RESIDUAL = 1e-5  # of a variable's standard deviation: a residual that varies less is rounding in float32
Residual = Callable[[np.ndarray], np.ndarray]  # (n, n_vars) -> (n, n_vars): what the model does not explain


def whole_value(x: np.ndarray) -> np.ndarray:
    """Return x (n, n_vars) itself, the residual of no model: standardised, it is the per-gene z-score."""
    return x


def pca_residual(x_train: np.ndarray, rank: int) -> Residual:
    """Return the residual of a PCA of `rank` components fitted on x_train (n_train, n_vars)."""
    from sklearn.decomposition import PCA

    x_train = matrix(x_train, "x_train", least=2)
    if not 1 <= rank <= min(x_train.shape):
        raise UndefinedError(f"rank: must be from 1 to {min(x_train.shape)}, found {rank}")
    pca = PCA(rank, random_state=0).fit(x_train)
    return lambda x: x - pca.inverse_transform(pca.transform(x))


def inject_outliers(
    x: np.ndarray,
    centre: np.ndarray,
    sd: np.ndarray,
    *,
    magnitude: float,
    frequency: float = FREQUENCY,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a copy of x (n_obs, n_vars) with outliers, and where they are (n_obs, n_vars) bool.

    round(frequency * entries) of them, one at least, each at its own place, sign at random. Genes that do not vary
    among training rows (sd 0) get none.

    Parameters
    ----------
    centre, sd : (n_vars,) mean and standard deviation over training rows.
    magnitude : distance from the mean, in units of sd.
    """
    x = matrix(x, "x")
    if not magnitude > 0 or not 0 < frequency < 1:
        raise DataError(f"magnitude must be above 0, frequency between 0 and 1; found {magnitude}, {frequency}")
    genes = np.flatnonzero(np.asarray(sd) > 0)
    n = len(x) * len(genes)
    if n < 2:
        raise UndefinedError(f"x: {len(genes)} of {x.shape[1]} variables vary among training rows, {len(x)} rows")
    rng = np.random.default_rng(seed)
    places = rng.choice(n, min(max(1, round(frequency * n)), n - 1), replace=False)
    i = places // len(genes)
    j = genes[places % len(genes)]
    out = x.copy()
    injected = np.zeros(x.shape, dtype=bool)
    out[i, j] = centre[j] + rng.choice([-1, 1], len(places)) * magnitude * sd[j]
    injected[i, j] = True
    return out, injected


@dataclass(frozen=True)
class OutlierSearch:
    """How well injected outliers were found.

    auprc : {"z3": ..., "z6": ...}, named after their magnitude; n_injected : entries that were set; prevalence : their
    share, the AUPRC of guessing.
    """

    auprc: dict[str, float]
    n_injected: int
    prevalence: float


def outlier_auprc(
    residual_train: np.ndarray,
    residual: Residual,
    x_train: np.ndarray,
    x_normal: np.ndarray,
    *,
    magnitudes: Sequence[float] = MAGNITUDES,
    frequency: float = FREQUENCY,
    seed: int = 0,
) -> OutlierSearch:
    """Return how well |residual|, standardised per gene on training residuals, finds injected outliers.

    Parameters
    ----------
    residual_train : (n_train, n_vars) x - x_hat of the training rows.
    residual : x -> x - x_hat of the held-out rows, whatever values stand in them; of `pca_residual(x_train, n_latent)`
        and `whole_value`, the floors, both are the same function. The same seed gives them the same outliers.
    x_train : (n_train, n_vars); x_normal : (n_obs, n_vars) held-out normals; both standardised.

    Raises
    ------
    DataError : a residual of another shape or not finite, or none at all for a gene that varies among training rows.
    """
    from sklearn.metrics import average_precision_score

    x_train = matrix(x_train, "x_train", least=2)
    x_normal = matrix(x_normal, "x_normal", n_vars=x_train.shape[1])
    centre = x_train.mean(0)
    sd = np.where(np.ptp(x_train, axis=0) > 0, x_train.std(0), 0)
    varies = sd > 0
    of_train = matrix(residual_train, "residual_train", n_obs=len(x_train), n_vars=x_train.shape[1])
    mean = of_train.mean(0)
    spread = of_train.std(0)
    reconstructed = varies & (spread <= NO_RESIDUAL * sd)
    if reconstructed.any():
        raise UndefinedError(f"residual_train: 0 in all rows for {reconstructed.sum()} variables that vary")
    auprc = {}
    for magnitude in magnitudes:
        x, injected = inject_outliers(x_normal, centre, sd, magnitude=magnitude, frequency=frequency, seed=seed)
        found = matrix(residual(x), "residual(x)", n_obs=len(x), n_vars=x.shape[1])
        score = np.abs(found[:, varies] - mean[varies]) / spread[varies]
        truth = injected[:, varies].ravel()
        auprc[f"z{magnitude:g}"] = float(average_precision_score(truth, score.ravel()))
    return OutlierSearch(auprc, int(truth.sum()), float(truth.mean()))

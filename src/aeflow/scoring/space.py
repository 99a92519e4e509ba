"""Shared by all fits on latents: drawing some rows, standardising latents, a mixture of Gaussians."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture


def kept(n: int, most: int, seed: int | np.random.Generator) -> np.ndarray:
    """Return the sorted positions of `most` of `n` rows drawn without replacement; all of them where n <= most."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


class Standardised:
    """Latents centred and scaled by those of training rows (n_reference, n_latent); a constant one is centred only."""

    def __init__(self, z_reference: np.ndarray):
        self.centre = z_reference.mean(0)
        # by its range: the standard deviation of equal values is not always 0
        self.scale = np.where(np.ptp(z_reference, axis=0) > 0, z_reference.std(0), 1)

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Return z (n_obs, n_latent) in that space, float64."""
        return ((z - self.centre) / self.scale).astype(np.float64)


def fit_mixture(
    z: np.ndarray, n_components: int, *, covariance: str, floor: float, max_rounds: int, seed: int
) -> GaussianMixture:
    """Return a mixture of Gaussians fitted to z (n_obs, n_latent) by expectation-maximisation.

    covariance : "full" or "diag"; floor : added to every variance; max_rounds : a fit that has not converged by then
    is used as it is.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(
        n_components, covariance_type=covariance, reg_covar=floor, max_iter=max_rounds, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(z)

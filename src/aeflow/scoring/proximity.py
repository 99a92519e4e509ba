"""Proximity: how far an observation's latents lie from those of training rows.

proximity/knn          mean Euclidean distance to the `K_NEIGHBOURS` nearest
proximity/mahalanobis  distance to their mean, covariance shrunk after Ledoit & Wolf (2004), J. Multivar. Anal. 88, 365
proximity/centroid     distance to the nearest of `N_CENTROIDS` k-means centroids

The first and the last see each latent standardised by training rows.
"""

from __future__ import annotations

import numpy as np

from aeflow.scoring.forward import MAX_REFERENCE, kept

K_NEIGHBOURS = 5
N_CENTROIDS = 10


class Standardised:
    """Latents centred and scaled by those of training rows (n_reference, n_latent); a constant one is centred only."""

    def __init__(self, z_reference: np.ndarray):
        scale = z_reference.std(0)
        self.centre, self.scale = z_reference.mean(0), np.where(scale > 0, scale, 1)

    def __call__(self, z: np.ndarray) -> np.ndarray:
        return ((z - self.centre) / self.scale).astype(np.float64)


def knn_distance(z_reference: np.ndarray, z: np.ndarray, seed: int) -> np.ndarray:
    """Return the mean distance (n_obs,) to the nearest of at most MAX_REFERENCE training latents."""
    from sklearn.neighbors import NearestNeighbors

    z_reference = z_reference[kept(len(z_reference), MAX_REFERENCE, seed)]
    space = Standardised(z_reference)
    search = NearestNeighbors(n_neighbors=min(K_NEIGHBOURS, len(z_reference))).fit(space(z_reference))
    return search.kneighbors(space(z))[0].mean(1)


def mahalanobis_distance(z_reference: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return the Mahalanobis distance (n_obs,) to the reference latents."""
    from sklearn.covariance import LedoitWolf

    if len(z_reference) < 2:  # no covariance: Euclidean distance
        return np.linalg.norm(z - z_reference.mean(0), axis=1).astype(np.float64)
    fitted = LedoitWolf().fit(z_reference.astype(np.float64))
    return np.sqrt(fitted.mahalanobis(z.astype(np.float64)))


def centroid_distance(z_reference: np.ndarray, z: np.ndarray, seed: int) -> np.ndarray:
    """Return the distance (n_obs,) to the nearest centroid; fewer training rows than N_CENTROIDS are the centroids."""
    from sklearn.cluster import KMeans

    z_reference = z_reference[kept(len(z_reference), MAX_REFERENCE, seed)]
    space = Standardised(z_reference)
    n = min(N_CENTROIDS, len(np.unique(z_reference, axis=0)))
    means = KMeans(n, n_init=4, random_state=seed).fit(space(z_reference))
    return means.transform(space(z)).min(1)

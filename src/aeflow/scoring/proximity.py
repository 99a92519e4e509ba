"""Proximity: how far an observation's latents lie from those of training rows.

proximity/knn          mean Euclidean distance to the `K_NEIGHBOURS` nearest
proximity/mahalanobis  distance to their mean, covariance shrunk after Ledoit & Wolf (2004), J. Multivar. Anal. 88, 365
proximity/centroid     distance to the nearest of `N_CENTROIDS` k-means centroids

The first and the last see each latent standardised by training rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aeflow.models.base import Batch
from aeflow.scoring.family import Reference, ScoreFamily
from aeflow.scoring.forward import MAX_REFERENCE
from aeflow.scoring.space import Standardised, kept

K_NEIGHBOURS = 5
N_CENTROIDS = 10


class Proximity(ScoreFamily):
    """Distances of latents to those of training rows."""

    def __init__(self, reference: Reference):
        super().__init__(reference)
        self.neighbours = Neighbours(reference.z, reference.seed)
        self.gaussian = LatentGaussian(reference.z)
        self.centroids = Centroids(reference.z, reference.seed)

    def scores(self, rows: Batch, z: np.ndarray, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {
            "proximity/knn": self.neighbours.distance(z),
            "proximity/mahalanobis": self.gaussian.distance(z),
            "proximity/centroid": self.centroids.distance(z),
        }


class Neighbours:
    """At most MAX_REFERENCE training latents (n_reference, n_latent), searched for the nearest."""

    def __init__(self, z_reference: np.ndarray, seed: int):
        from sklearn.neighbors import NearestNeighbors

        z_reference = z_reference[kept(len(z_reference), MAX_REFERENCE, seed)]
        self.space = Standardised(z_reference)
        self.search = NearestNeighbors(n_neighbors=min(K_NEIGHBOURS, len(z_reference))).fit(self.space(z_reference))

    def distance(self, z: np.ndarray) -> np.ndarray:
        """Return the mean distance (n_obs,) to the nearest training latents."""
        return self.search.kneighbors(self.space(z))[0].mean(1)


class LatentGaussian:
    """Mean and shrunken covariance of training latents (n_reference, n_latent)."""

    def __init__(self, z_reference: np.ndarray):
        from sklearn.covariance import LedoitWolf

        self.mean = z_reference.mean(0)
        # one row has no covariance
        self.fitted = LedoitWolf().fit(z_reference.astype(np.float64)) if len(z_reference) > 1 else None

    def distance(self, z: np.ndarray) -> np.ndarray:
        """Return the Mahalanobis distance (n_obs,) to the training latents; of one row the Euclidean one."""
        if self.fitted is None:
            return np.linalg.norm(z - self.mean, axis=1).astype(np.float64)
        return np.sqrt(self.fitted.mahalanobis(z.astype(np.float64)))


class Centroids:
    """k-means centroids of training latents; where there are fewer rows than N_CENTROIDS, the rows themselves."""

    def __init__(self, z_reference: np.ndarray, seed: int):
        from sklearn.cluster import KMeans

        z_reference = z_reference[kept(len(z_reference), MAX_REFERENCE, seed)]
        self.space = Standardised(z_reference)
        n = min(N_CENTROIDS, len(np.unique(z_reference, axis=0)))
        self.means = KMeans(n, n_init=4, random_state=seed).fit(self.space(z_reference))

    def distance(self, z: np.ndarray) -> np.ndarray:
        """Return the distance (n_obs,) to the nearest centroid."""
        return self.means.transform(self.space(z)).min(1)

"""Structure of latents: agreement of clusters with labels, and agreement between seeds.

Classifiers on latents are in `aeflow.evaluation.representation.heads`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from aeflow.errors import DataError, UndefinedError
from aeflow.evaluation.checks import labels, matrix
from aeflow.scoring.space import Standardised, kept

MAX_SILHOUETTE_ROWS = 5000  # its time grows with the square


def clustering_agreement(z: np.ndarray, y: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Return nmi and ari of k-means clusters (k = number of classes, standardised latents) against labels y.

    z : (n_obs, n_latent). Normalised mutual information (arithmetic mean) lies in 0..1; the adjusted Rand index
    (Hubert & Arabie 1985) is 0 for random clusters.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    z = matrix(z, "z", least=2)
    y = labels(y, "y", len(z), least=2).astype(str)
    clusters = KMeans(len(np.unique(y)), n_init=10, random_state=seed).fit_predict(Standardised(z)(z))
    return {"nmi": float(normalized_mutual_info_score(y, clusters)), "ari": float(adjusted_rand_score(y, clusters))}


def silhouette_width(z: np.ndarray, y: np.ndarray, seed: int = 0) -> float:
    """Return the mean silhouette width (-1 to 1) of the groups y in standardised latents z (n_obs, n_latent).

    By tissue a large one is wanted, by study one near 0. Of more than 5,000 rows, a random 5,000 are taken.
    Rousseeuw 1987, J. Comput. Appl. Math. 20:53.
    """
    from sklearn.metrics import silhouette_score

    z = matrix(z, "z", least=3)
    z = Standardised(z)(z)
    y = labels(y, "y", len(z), least=2).astype(str)
    rows = kept(len(z), MAX_SILHOUETTE_ROWS, seed)
    z, y = z[rows], y[rows]
    n_groups = len(np.unique(y))
    if not 2 <= n_groups < len(y):
        raise UndefinedError(f"y: {n_groups} groups among {len(y)} rows have no silhouette")
    return float(silhouette_score(z, y))


def subspace_angles_degrees(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the principal angles in degrees, largest first, between the column spaces of a and b (n_vars, k).

    Columns are directions in variable space: decoder weights of a linear autoencoder, or PCA loadings. (min(k_a, k_b),)
    angles; 0 = the same subspace. Björck & Golub 1973.
    """
    from scipy.linalg import subspace_angles

    a = matrix(a, "a")
    b = matrix(b, "b", n_obs=len(a))
    for name, basis in (("a", a), ("b", b)):
        rank = np.linalg.matrix_rank(basis)
        if rank < basis.shape[1]:
            raise UndefinedError(f"{name}: {basis.shape[1]} directions span {rank} dimensions only")
    return np.degrees(subspace_angles(a, b))


def linear_cka(a: np.ndarray, b: np.ndarray) -> float:
    """Return the linear centred kernel alignment (0 to 1) of two representations of the same rows.

    a (n_obs, n_a), b (n_obs, n_b). |A'B|_F^2 / (|A'A|_F |B'B|_F), columns centred: unchanged by rotation and scale,
    not by other linear maps (Kornblith et al. 2019, equation 3). DataError if a representation is constant.
    """
    a = matrix(a, "a", least=2)
    b = matrix(b, "b", n_obs=len(a))
    for name, z in (("a", a), ("b", b)):
        if not np.ptp(z, axis=0).any():  # less its mean, which is rounded, it would not always be 0
            raise UndefinedError(f"{name}: all {len(z)} rows are equal")
    a = a - a.mean(0)
    b = b - b.mean(0)
    return float(np.square(a.T @ b).sum() / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)))


def seed_stability(latents: Sequence[np.ndarray]) -> dict[str, float]:
    """Return mean and least linear CKA over all pairs of seeds.

    latents : one (n_obs, n_latent) per seed, of the same rows in the same order.
    """
    if len(latents) < 2:
        raise DataError(f"latents: at least 2 seeds are needed, found {len(latents)}")
    found = [linear_cka(a, b) for a, b in combinations(latents, 2)]
    return {"cka": float(np.mean(found)), "cka_least": float(min(found)), "n_pairs": len(found)}

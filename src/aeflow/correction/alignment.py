"""Alignment of the joint structure: a few shared components are matched between studies, the rest is damped.

    (x - mu) / s = V t + r      V: `n_components` principal directions of the fitting rows, each study weighs the same
    t' = (t - m_b) C_b^(-1/2) C^(1/2) + m                            covariance alignment (CORAL)
    t'' = Q(F_b(t'_k)) for each component k                          if `n_quantiles`: their marginal shapes, too
    x* = mu + s (V t'' + keep (e / e_b) r)                           e_b: root median square of |r| in study b

C_b is the covariance of t in study b, its off-diagonal shrunken by `shrink`. e_b comes from rows that V was not fitted
on (five inner folds), because a study of few rows fits V less well. m, C, Q, e are the reference's, or means over the
studies. With `keep` < 1 every row, of every study, loses detail outside the shared components: this is what the method
costs, and why tumour detection has to be measured beside the probe. Needs equal margins, so it follows `zscore`.

CORAL: Sun, Feng & Saenko (2016), AAAI 30. The marginal step is one round of Pitie et al. (2007), CVIU 107:123-137.
What differs: damped cross-fitted residual, the choice of the subspace, the frozen form.
"""

from __future__ import annotations

import logging

import numpy as np

from aeflow.correction.correction import Correction, check_fit, check_reference, encode_labels
from aeflow.correction.quantile import map_columns, quantiles
from aeflow.errors import ConfigError, DataError
from aeflow.keywords import Count, Share, Size

log = logging.getLogger(__name__)
N_FOLDS = 5


class Align(Correction):
    """CORAL, and quantile mapping, of shared principal components, with the residual damped."""

    @classmethod
    def fit(
        cls,
        X,
        batch,
        tissue=None,
        *,
        reference: str | None = None,
        n_components: Size = 12,
        shrink: Share = 0.1,
        n_quantiles: Count = 9,
        keep: Share = 0.15,
    ):
        """Fit on X (n_fit, n_vars).

        Parameters
        ----------
        n_components : k, at most half the rows of the smallest study (else lowered, and logged).
        shrink : of the covariances towards their diagonal, 0 to 1.
        n_quantiles : knots of the marginal step (few: a study may have few rows); 0: no such step.
        keep : share of the residual that is left, 0 to 1.
        """
        X, batch, _ = check_fit(X, batch, tissue, cls.name)
        batches = sorted(set(batch))
        check_reference(reference, batches, cls.name)
        smallest = min(batches, key=lambda b: (batch == b).sum())
        n_least = int((batch == smallest).sum())
        if n_components < 1 or n_least < 4:
            raise DataError(
                f"correction {cls.name}: needs n_components >= 1, found {n_components}, and 4 rows of every batch, "
                f"found {n_least} of {smallest!r}"
            )
        if n_components > n_least // 2:
            log.warning(
                "correction %s: %d components instead of %d: batch %r has %d rows, and half of that is the most its "
                "covariance allows",
                cls.name,
                n_least // 2,
                n_components,
                smallest,
                n_least,
            )
            n_components = n_least // 2
        for key, value in (("shrink", shrink), ("keep", keep)):
            if not 0 <= value <= 1:
                raise ConfigError(f"correct: {cls.name} {key} {value!r} must be between 0 and 1")
        scale = X.std(0)
        n_components = fewer(n_components, max(1, int((scale > 1e-6).sum())), cls.name)
        scale = np.where(scale > 1e-6, scale, np.inf)  # constants: no part in components or residual
        mu = X.mean(0)
        Z = (X - mu) / scale
        V = components(Z, batch, n_components)
        T = Z @ V
        for b in batches:
            rows = T[batch == b]
            rank = np.linalg.matrix_rank(rows - rows.mean(0), tol=1e-6 * np.abs(T).max() * len(rows))
            if rank < n_components:
                raise DataError(
                    f"correction {cls.name}: {len(rows)} rows of batch {b!r} span {rank} of {n_components} components; "
                    "are rows repeated?"
                )
        ref = slice(None) if reference is None else [batches.index(reference)]
        mean = np.stack([T[batch == b].mean(0) for b in batches])
        cov = np.stack([_shrunken(T[batch == b], shrink) for b in batches])
        root = matrix_power(cov[ref].mean(0), 0.5)
        maps = np.stack([matrix_power(c, -0.5) @ root for c in cov])
        arrays = {"mu": mu, "scale": scale, "V": V, "mean": mean, "maps": maps, "target_mean": mean[ref].mean(0)}
        if reference is not None:
            arrays["maps"][ref] = np.eye(n_components)
        energy = cross_fitted_energy(Z, batch, batches, n_components)
        arrays["residual"] = keep * energy[ref].mean() / energy
        if n_quantiles:
            aligned = [_align(T[batch == b], i, arrays) for i, b in enumerate(batches)]
            arrays["source"] = np.stack([quantiles(t, n_quantiles) for t in aligned])
            arrays["target"] = arrays["source"][ref].mean(0)
        return cls(arrays | {"batches": encode_labels(batches), "n_vars": np.array(X.shape[1])})

    def _apply(self, X, batch, tissue):
        s = self.arrays
        Z = (X - s["mu"]) / s["scale"]
        T = Z @ s["V"]
        rest = Z - T @ s["V"].T
        index = np.searchsorted(self.batches, batch.astype(str))
        for i in sorted(set(index)):
            rows = index == i
            aligned = _align(T[rows], i, s)
            T[rows] = map_columns(aligned, s["source"][i], s["target"]) if "source" in s else aligned
            rest[rows] *= s["residual"][i]
        finite = np.isfinite(s["scale"])
        X[:, finite] = ((T @ s["V"].T + rest) * np.where(finite, s["scale"], 0.0) + s["mu"])[:, finite]
        return X


def _align(T, i, arrays):
    return (T - arrays["mean"][i]) @ arrays["maps"][i] + arrays["target_mean"]


def components(Z: np.ndarray, batch: np.ndarray, k: int) -> np.ndarray:
    """Return k principal directions (n_vars, k) of centred Z, each batch weighing the same; largest loading > 0."""
    sizes = {b: (batch == b).sum() for b in set(batch)}
    weight = np.sqrt(len(Z) / len(sizes) / np.array([sizes[b] for b in batch]))
    V = np.linalg.svd(Z * weight[:, None], full_matrices=False)[2][:k].T
    return V * np.sign(V[np.abs(V).argmax(0), np.arange(k)])


def fewer(n_components: int, most: int, who: str) -> int:
    """Return the number of components that the rows allow; logged where that is less than was asked for."""
    if n_components > most:
        log.warning("correction %s: %d components instead of %d: the data span no more", who, most, n_components)
    return min(n_components, most)


def cross_fitted_energy(Z: np.ndarray, batch: np.ndarray, batches: list[str], k: int) -> np.ndarray:
    """Return (n_batch,) root median squared residual norm of rows outside components fitted without them."""
    fold = np.empty(len(Z), dtype=int)
    energy = np.empty(len(Z))
    for b in batches:
        fold[batch == b] = np.arange((batch == b).sum()) % N_FOLDS
    for i in range(N_FOLDS):
        held = fold == i
        if held.any():
            mean = Z[~held].mean(0)
            V = components(Z[~held] - mean, batch[~held], min(k, int((~held).sum()) - 1))
            D = Z[held] - mean
            energy[held] = (D**2).sum(1) - ((D @ V) ** 2).sum(1)
    n = np.array([(batch == b).sum() for b in batches])
    medians = np.array([np.median(energy[batch == b]) for b in batches])
    # the z-scores before were fitted on these rows: a new row varies (n + 1) / (n - 1) times as much
    return np.sqrt(np.maximum(medians * (n + 1) / np.maximum(n - 1, 1), 1e-12))


def _shrunken(T: np.ndarray, shrink: float) -> np.ndarray:
    cov = np.atleast_2d(np.cov(T.T))
    return (1 - shrink) * cov + shrink * np.diag(np.diag(cov))


def matrix_power(C: np.ndarray, power: float) -> np.ndarray:
    """Return C^power of a symmetric C; eigenvalues are floored at 1e-6 of the largest."""
    values, vectors = np.linalg.eigh(C)
    return (vectors * np.maximum(values, 1e-6 * values.max()) ** power) @ vectors.T

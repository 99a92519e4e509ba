"""Optimal transport: in a few shared components, each study's cloud of rows is moved onto the reference's.

    (x - mu) / s = V t + r                          V: `n_components` principal directions, each study weighs the same
    P = argmin <P, C> + eps KL(P | a b')            C_ij = |t_i - y_j|^2 / 2, rows of the study against the reference's
    T_y(t) = sum_j w_j(t) y_j,  w_j ~ b_j exp((g_j - |t - y_j|^2 / 2) / eps)       the entropic map, for any new row
    t* = t + amount (T_y(t) - T_t(t))               T_t: the same map of the study onto itself
    x* = mu + s (V t* + r)

g is the dual potential of the reference rows; with it the map is known everywhere, so that new rows are moved by what
training normals fixed. T_t is subtracted because a barycentre lies further in than its row: what is left is a
displacement, zero where both clouds agree, and a row keeps its own distance from the cloud. eps is `blur`^2 times the
median of C over pairs of reference rows. The reference study does not change at all.

Seguy et al. (2018), ICLR, and Pooladian & Niles-Weed (2021), arXiv:2109.12004 (the entropic map); Feydy et al. (2019),
AISTATS, PMLR 89 (the debiasing). What differs: the subspace, and that the residual r stays as it is. Mutual nearest
neighbours (Haghverdi et al. 2018, Nat Biotechnol 36:421-427) move rows by smoothed displacements, too; transport gives
every row a partner, not only the mutual ones. Needs equal margins, so it follows `zscore` or `alignment`.
"""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from aeflow.correction.alignment import components, fewer
from aeflow.correction.correction import Correction, check_fit, check_reference, encode_labels
from aeflow.errors import ConfigError, DataError
from aeflow.keywords import Positive, Share, Size

MAX_ITERATIONS = 5000
TOLERANCE = 1e-6  # largest change of the scaled potential at which Sinkhorn's iteration stops
NO_PLAN = f"correction transport: no plan after {MAX_ITERATIONS} iterations; a larger blur converges sooner"


class Transport(Correction):
    """Debiased entropic transport of each study's principal components onto those of the reference."""

    @classmethod
    def fit(
        cls,
        X,
        batch,
        tissue=None,
        *,
        reference: str,
        n_components: Size = 12,
        blur: Positive = 0.5,
        amount: Share = 1.0,
    ):
        """Fit on X (n_fit, n_vars).

        Parameters
        ----------
        reference : study to move to; there is no common one, as transport is between two clouds.
        n_components : k, lowered (and logged) to the n_fit - 1 that the rows span, and to n_vars.
        blur : root of eps in units of the reference's median distance, above 0; large: only the means are matched.
        amount : share of the displacement that is applied, 0 to 1.
        """
        X, batch, _ = check_fit(X, batch, tissue, cls.name)
        batches = sorted(set(batch))
        check_reference(reference, batches, cls.name)
        if reference is None:
            raise ConfigError(f"correct: {cls.name} reference None: name the study to move to")
        if n_components < 1:
            raise ConfigError(f"correct: {cls.name} n_components {n_components!r} must be at least 1")
        if not blur > 0:
            raise ConfigError(f"correct: {cls.name} blur {blur!r} must be above 0")
        if not 0 <= amount <= 1:
            raise ConfigError(f"correct: {cls.name} amount {amount!r} must be between 0 and 1")
        scale = X.std(0)
        scale = np.where(scale > 1e-6, scale, np.inf)  # constants: no part in the components
        mu = X.mean(0)
        Z = (X - mu) / scale
        V = components(Z, batch, fewer(n_components, min(len(X) - 1, X.shape[1]), cls.name))
        T = Z @ V
        Y = T[batch == reference]
        pairs = _cost(Y, Y)[np.triu_indices(len(Y), 1)]
        eps = float(blur**2 * np.median(pairs)) if len(pairs) else 0.0
        if not eps > 0:
            raise DataError(
                f"correction {cls.name}: {len(Y)} rows of reference {reference!r} have no spread to measure"
            )
        arrays = {"mu": mu, "scale": scale, "V": V, "eps": np.array(eps), "amount": np.array(float(amount))}
        arrays["reference"] = np.array(batches.index(reference))
        arrays |= {"target": Y}
        for i, b in enumerate(batches):
            if b != reference:
                rows = T[batch == b]
                arrays[f"source{i}"] = rows
                arrays[f"to_target{i}"] = sinkhorn(rows, Y, eps)
                arrays[f"to_self{i}"] = self_sinkhorn(rows, eps)
        return cls(arrays | {"batches": encode_labels(batches), "n_vars": np.array(X.shape[1])})

    def _apply(self, X, batch, tissue):
        s = self.arrays
        index = np.searchsorted(self.batches, batch.astype(str))
        finite = np.isfinite(s["scale"])
        for i in sorted(set(index) - {int(s["reference"])}):
            rows = np.flatnonzero(index == i)
            T = ((X[rows] - s["mu"]) / s["scale"]) @ s["V"]
            eps, source = float(s["eps"]), s[f"source{i}"]
            moved = _barycentre(T, s["target"], s[f"to_target{i}"], eps) - _barycentre(T, source, s[f"to_self{i}"], eps)
            change = float(s["amount"]) * moved @ s["V"].T
            X[np.ix_(rows, finite)] += (change * np.where(finite, s["scale"], 0.0))[:, finite]
        return X


def _cost(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return |a_i - b_j|^2 / 2 (n_a, n_b)."""
    return np.maximum((A**2).sum(1)[:, None] / 2 + (B**2).sum(1) / 2 - A @ B.T, 0.0)


def sinkhorn(A: np.ndarray, B: np.ndarray, eps: float) -> np.ndarray:
    """Return the potential g (n_b,) of entropic transport between uniform A (n_a, k) and B (n_b, k).

    Sinkhorn's iteration in the log domain (Peyre & Cuturi 2019, Found Trends Mach Learn 11, section 4.4).

    Raises
    ------
    DataError : it does not converge.
    """
    K = -_cost(A, B) / eps
    g = np.zeros(len(B))
    log_a = -np.log(len(A))
    log_b = -np.log(len(B))
    for _ in range(MAX_ITERATIONS):
        f = -logsumexp(K + g + log_b, axis=1)
        before, g = g, -logsumexp(K + f[:, None] + log_a, axis=0)
        if np.abs(g - before).max() < TOLERANCE:
            return g * eps
    raise DataError(NO_PLAN)


def self_sinkhorn(A: np.ndarray, eps: float) -> np.ndarray:
    """Return the potential g (n_a,) of A (n_a, k) onto itself; averaged steps, as the plain ones hardly converge.

    Feydy et al. (2019), section 3: f = g by symmetry, f <- (f + softmin(f)) / 2. DataError: it does not converge.
    """
    K = -_cost(A, A) / eps
    g = np.zeros(len(A))
    log_a = -np.log(len(A))
    for _ in range(MAX_ITERATIONS):
        before, g = g, (g - logsumexp(K + g + log_a, axis=1)) / 2
        if np.abs(g - before).max() < TOLERANCE:
            return g * eps
    raise DataError(NO_PLAN)


def _barycentre(T: np.ndarray, Y: np.ndarray, g: np.ndarray, eps: float) -> np.ndarray:
    """Return the entropic map (n, k) of T (n, k): the mean of Y (m, k) under w_j."""
    logits = (g - _cost(T, Y)) / eps
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True) @ Y

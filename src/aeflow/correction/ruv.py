"""Removal of unwanted variation: factors seen in control genes of the training normals, taken out of every row.

    x = m + b_tissue + W A + e                      W (n, k) unwanted factors, A (k, n_vars) their loadings
    A: right singular vectors of R_c, the within-tissue residuals of the control genes, extended to all genes by least
       squares of R on W; studies weigh the same
    W_new = (x_c - m_c) A_c' (A_c A_c')^-1          for any row, from its control genes alone
    x* = x - W_new A

Control genes need no list: they are the `controls` share of the varying genes whose between-tissue F statistic,
computed within studies, is smallest. Where the fitting rows have one tissue nothing tells biology from the unwanted, so
every varying gene is a control, and the tissue's own leading variation goes with it (it is logged).

Gagnon-Bartsch & Speed (2012), Biostatistics 13:539-552; Jacob, Gagnon-Bartsch & Speed (2016), Biostatistics 17:16-28
(removal from the matrix itself). The frozen form is that of fSVA: Parker, Bravo & Leek (2014), PeerJ 2:e561. What
differs: empirical controls, residuals within tissues instead of replicates, and that the control genes of a new row
are projected on fixed loadings. Studies are not told apart: their difference along the factors goes, the rest stays,
so the method goes beside `zscore`, not instead of it.
"""

from __future__ import annotations

import logging

import numpy as np

from aeflow.correction.correction import Correction, check_fit, encode_labels, need_tissue
from aeflow.errors import ConfigError
from aeflow.keywords import PositiveShare, Size

log = logging.getLogger(__name__)


class RUV(Correction):
    """Unwanted factors of empirical control genes, removed by projection on fixed loadings."""

    @classmethod
    def fit(cls, X, batch, tissue=None, *, n_factors: Size = 3, controls: PositiveShare = 0.5):
        """Fit on X (n_fit, n_vars); `tissue` (n_fit,), where given, is what the factors must not take.

        Parameters
        ----------
        n_factors : k, lowered (and logged) to what the rows less their tissues span.
        controls : share of the varying genes that serve as controls, above 0 to 1; used where there are two tissues.
        """
        X, batch, tissue = check_fit(X, batch, tissue, cls.name)
        if n_factors < 1:
            raise ConfigError(f"correct: {cls.name} n_factors {n_factors!r} must be at least 1")
        if not 0 < controls <= 1:
            raise ConfigError(f"correct: {cls.name} controls {controls!r} must be above 0 and at most 1")
        tissue = np.full(len(X), "all", dtype=object) if tissue is None else need_tissue(tissue, cls.name)
        sizes = {b: (batch == b).sum() for b in set(batch)}
        weight = np.array([1.0 / sizes[b] for b in batch])
        weight *= len(X) / weight.sum()
        centre = np.average(X, axis=0, weights=weight)
        scale = np.sqrt(np.average((X - centre) ** 2, axis=0, weights=weight))
        varying = scale > 1e-6
        scale = np.where(varying, scale, 1.0)
        Z = np.where(varying, (X - centre) / scale, 0.0)
        control = control_genes(Z, batch, tissue, varying, controls)
        R = Z.copy()
        for name in sorted(set(tissue)):
            rows = tissue == name
            R[rows] -= np.average(Z[rows], axis=0, weights=weight[rows])
        R *= np.sqrt(weight)[:, None]
        U, singular, _ = np.linalg.svd(R[:, control], full_matrices=False)
        rank = int((singular > 1e-8 * singular.max(initial=1e-12)).sum())
        if n_factors > rank:
            log.warning(
                "correction %s: %d factors instead of %d: the residuals span no more", cls.name, rank, n_factors
            )
        W = U[:, : min(n_factors, rank)]
        A = W.T @ R  # least squares on orthonormal W
        A_c = A[:, control]
        project = np.zeros((X.shape[1], len(A)))
        project[control] = A_c.T @ np.linalg.inv(A_c @ A_c.T)
        return cls(
            {
                "batches": encode_labels(sorted(set(batch))),
                "centre": centre,
                "scale": scale,
                "project": project,
                "loadings": A,
                "n_vars": np.array(X.shape[1]),
            }
        )

    def _apply(self, X, batch, tissue):
        s = self.arrays
        W = ((X - s["centre"]) / s["scale"]) @ s["project"]
        return X - W @ s["loadings"] * s["scale"]


def control_genes(
    Z: np.ndarray, batch: np.ndarray, tissue: np.ndarray, varying: np.ndarray, share: float
) -> np.ndarray:
    """Return the mask (n_vars,) of the `share` of varying genes with the smallest F of tissues within studies."""
    between, within, df_between, df_within = 0.0, 0.0, 0, 0
    for b in sorted(set(batch)):
        rows = Z[batch == b]
        mean = rows.mean(0)
        for name in sorted(set(tissue[batch == b])):
            group = rows[tissue[batch == b] == name]
            between = between + len(group) * (group.mean(0) - mean) ** 2
            within = within + ((group - group.mean(0)) ** 2).sum(0)
            df_between, df_within = df_between + 1, df_within + len(group) - 1
        df_between -= 1
    if df_between == 0 or df_within == 0:
        log.warning("correction ruv: no study has two tissues, so every varying variable is a control")
        return varying
    F = np.where(varying, between / df_between / np.maximum(within / df_within, 1e-12), np.inf)
    n = max(round(share * float(varying.sum())), 1)
    control = np.zeros(len(F), dtype=bool)
    control[np.argsort(F, kind="stable")[:n]] = True
    return control & varying

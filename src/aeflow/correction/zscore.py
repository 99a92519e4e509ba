"""Z-scores by study: each gene's location and scale in a study become those of the reference, or of all studies.

    x* = (x - m_bg) / s_bg * s_g + m_g      b study, g gene; s is floored at `min_sd`

Without shrinkage, so margins match exactly on the fitting rows; ComBat with 30 rows a study is nearly the same. m_g and
s_g are the reference's, or the means over studies, each study counting the same however many rows it has.
"""

from __future__ import annotations

import numpy as np

from aeflow.correction.correction import Correction, check_fit, check_reference, encode_labels
from aeflow.errors import DataError
from aeflow.keywords import Positive


class ZScore(Correction):
    """Location and scale by study, unshrunken."""

    @classmethod
    def fit(cls, X, batch, tissue=None, *, reference: str | None = None, min_sd: Positive = 0.1):
        """Fit on X (n_fit, n_vars); `min_sd` in log2 units keeps a nearly constant gene from being blown up."""
        X, batch, _ = check_fit(X, batch, tissue, cls.name)
        batches = sorted(set(batch))
        check_reference(reference, batches, cls.name)
        for b in batches:
            if (batch == b).sum() == 1:
                raise DataError(f"correction {cls.name}: batch {b!r} has one row, so it has no standard deviation")
        mean = np.stack([X[batch == b].mean(0) for b in batches])
        sd = np.maximum(np.stack([X[batch == b].std(0, ddof=1) for b in batches]), min_sd)
        ref = slice(None) if reference is None else [batches.index(reference)]
        return cls(
            {
                "batches": encode_labels(batches),
                "mean": mean,
                "sd": sd,
                "target_mean": mean[ref].mean(0),
                "target_sd": np.sqrt((sd[ref] ** 2).mean(0)),
                "n_vars": np.array(X.shape[1]),
            }
        )

    def _apply(self, X, batch, tissue):
        s, i = self.arrays, np.searchsorted(self.batches, batch.astype(str))
        return (X - s["mean"][i]) / s["sd"][i] * s["target_sd"] + s["target_mean"]

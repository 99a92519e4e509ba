"""Shift: the median of each gene in a study becomes the mean of the studies' medians."""

from __future__ import annotations

import numpy as np

from aeflow.correction.correction import Correction, check_fit, encode_labels
from aeflow.keywords import Share


class Shift(Correction):
    """Location by study, scale as it was."""

    @classmethod
    def fit(cls, X, batch, tissue=None, *, strength: Share = 1.0):
        """Fit on X (n_fit, n_vars); `strength` 1 removes the whole difference, 0 nothing of it."""
        X, batch, _ = check_fit(X, batch, tissue, cls.name)
        batches = sorted(set(batch))
        medians = np.stack([np.median(X[batch == b], axis=0) for b in batches])
        shift = strength * (medians.mean(0) - medians)
        return cls({"batches": encode_labels(batches), "shift": shift, "n_vars": np.array(X.shape[1])})

    def _apply(self, X, batch, tissue):
        return X + self.arrays["shift"][np.searchsorted(self.batches, batch.astype(str))]

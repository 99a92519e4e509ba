"""Common support: a gene that one study does not detect is made constant, so that its zeros say nothing.

    supported_g = min over studies of the q-quantile of x_g  >  limit          x*_g = x_g if supported, else median_g

Zeros tell the studies apart even where every mean and variance is equal, because each method maps the same zero to a
different value in each study (depth 30 M against 65 M reads, degraded against fresh tissue). A location-scale or
quantile step must therefore follow this one, not precede it.
"""

from __future__ import annotations

import logging

import numpy as np

from aeflow.correction.correction import Correction, check_fit, encode_labels
from aeflow.errors import DataError
from aeflow.keywords import Share, Weight

log = logging.getLogger(__name__)


class Support(Correction):
    """Common-support filter; the median of the fitting rows stands in for an unsupported gene."""

    @classmethod
    def fit(cls, X, batch, tissue=None, *, limit: Weight = 2.0, quantile: Share = 0.05):
        """Fit on X (n_fit, n_vars); `limit` in log2(x + 1): above it, `1 - quantile` of the rows of each study."""
        X, batch, _ = check_fit(X, batch, tissue, cls.name)
        batches = sorted(set(batch))
        low = np.min([np.quantile(X[batch == b], quantile, axis=0) for b in batches], axis=0)
        supported = low > limit
        if not supported.any():
            raise DataError(
                f"correction {cls.name}: no variable is above limit {limit:g} in {1 - quantile:.0%} of the rows of "
                f"every batch ({', '.join(batches)})"
            )
        log.info("correction %s: %d of %d variables are supported by every batch", cls.name, supported.sum(), len(low))
        return cls(
            {
                "batches": encode_labels(batches),
                "supported": supported,
                "constant": np.median(X, axis=0),
                "n_vars": np.array(X.shape[1]),
            }
        )

    def _apply(self, X, batch, tissue):
        return np.where(self.arrays["supported"], X, self.arrays["constant"])

"""The published protocol of RNAseqDB: ComBat on all rows, tumours and test rows included, with ~cancer as covariate.

Zeros are zero again afterwards, negative values are clipped to zero, and log2 values may be rounded to 0.01.

Wang et al. (2018), Sci Data 5:180061; run-combat.R and the published matrices (the last three steps are in no script,
they were read off the data). Test rows and tumour labels shape this correction: it is here to reproduce published
numbers and to show what that costs, not to evaluate with. `reference` is theirs in effect: TCGA hardly moves.
"""

from __future__ import annotations

import logging

import numpy as np

from aeflow.correction.combat import ComBat

log = logging.getLogger(__name__)


class Wang2018(ComBat):
    """ComBat as published; `fit` and `apply` take the condition (normal or tumour) where others take the tissue."""

    labels = "condition"
    sees_all_rows = True

    @classmethod
    def fit(cls, X, batch, tissue=None, *, reference: str | None = "TCGA", round_log2: bool = False):
        """Fit on all rows X (n_obs, n_vars), log2(x + 1); labels `tissue` are conditions, used where there are two."""
        log.warning(
            "correction %s: fitted on %d rows, test rows and tumours included: their values and labels shape every "
            "corrected row, so nothing evaluated on it is held out",
            cls.name,
            len(X),
        )
        protected = tissue is not None and len(set(np.asarray(tissue).astype(str))) > 1
        fitted = super().fit(X, batch, tissue, reference=reference, covariates=protected)
        fitted.arrays["round_log2"] = np.array(bool(round_log2))
        return fitted

    def _apply(self, X, batch, tissue):
        absent = X == 0
        X = np.clip(super()._apply(X, batch, tissue), 0.0, None)
        X[absent] = 0.0
        return np.round(X, 2) if self.arrays["round_log2"] else X

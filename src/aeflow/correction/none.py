"""No correction: the row of every table that the others are measured against."""

from __future__ import annotations

import numpy as np

from aeflow.correction.correction import Correction, check_input, encode_labels


class NoCorrection(Correction):
    """Returns what it is given; a batch that was not seen is refused all the same."""

    by_tissue = True

    @classmethod
    def fit(cls, X, batch, tissue=None):
        """Remember which batches there are."""
        X, batch, _ = check_input(X, batch, tissue, f"correction {cls.name}")
        return cls({"batches": encode_labels(sorted(set(batch))), "n_vars": np.array(X.shape[1])})

    def _apply(self, X, batch, tissue):
        return X

"""A chain of corrections: each is fitted on what the steps before it made of the fitting rows."""

from __future__ import annotations

import numpy as np

from aeflow.correction import fit_correction
from aeflow.correction.correction import Correction, check_fit, decode_labels, encode_labels, nested, unnested
from aeflow.errors import ConfigError


class Chain(Correction):
    """Steps in sequence, for example common support, z-scores, alignment."""

    @classmethod
    def fit(cls, X, batch, tissue=None, *, steps: list[dict]):
        """Fit on X (n_fit, n_vars); `steps`: list of {method: file.Class, options of that method}."""
        X, batch, tissue = check_fit(X, batch, tissue, cls.name)
        if not steps:
            raise ConfigError(f"correct: {cls.name} has no steps")
        arrays = {"batches": encode_labels(sorted(set(batch))), "n_vars": np.array(X.shape[1])}
        arrays["methods"] = encode_labels([step.get("method", "") for step in steps])
        for i, step in enumerate(steps):
            options = {key: value for key, value in step.items() if key != "method"}
            fitted = fit_correction(step.get("method", ""), X, batch, tissue, **options)
            if fitted.sees_all_rows:
                raise ConfigError(f"correct: {fitted.name} is fitted on all rows and cannot be a step of a chain")
            X = fitted._apply(X, batch, tissue)
            arrays |= nested(f"step{i}", fitted)
        return cls(arrays)

    def _apply(self, X, batch, tissue):
        for i, method in enumerate(decode_labels(self.arrays["methods"])):
            X = unnested(f"step{i}", method, self.arrays)._apply(X, batch, tissue)
        return X

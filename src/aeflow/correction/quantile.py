"""Quantile mapping: each gene's distribution in each study is brought to that of the reference, or to a common one.

    x* = Q_target(F_batch(x)),   F, Q piecewise linear through the order statistics of the fitting rows

Both are evaluated at `n_quantiles` plotting positions (i - 1/2) / n, so that mapping is monotone and deterministic;
tied values (zeros) take the mean of the targets at their positions. The common target is the mean over studies of their
quantiles (Bolstad et al. 2003, Bioinformatics 19:185-193, there over arrays and here over studies, gene by gene).
Outside the range of the fitting rows a value keeps its distance to the nearest end: x* = x + (target end - end).
"""

from __future__ import annotations

import numpy as np

from aeflow.correction.correction import Correction, check_fit, check_reference, encode_labels
from aeflow.keywords import Size


class Quantile(Correction):
    """Gene-wise quantile mapping between studies."""

    @classmethod
    def fit(cls, X, batch, tissue=None, *, reference: str | None = None, n_quantiles: Size = 101):
        """Fit on X (n_fit, n_vars); `reference` is the study to map to (its rows stay as they are), None a common one.

        A study with fewer than `n_quantiles` rows gives as many positions as it has rows, interpolated between.
        """
        X, batch, tissue = check_fit(X, batch, tissue, cls.name)
        batches = sorted(set(batch))
        check_reference(reference, batches, cls.name)
        source = np.stack([quantiles(X[batch == b], n_quantiles) for b in batches])
        target = source.mean(0) if reference is None else source[batches.index(reference)]
        return cls(
            {
                "batches": encode_labels(batches),
                "reference": np.array(-1 if reference is None else batches.index(reference)),
                "source": source,
                "target": target,
                "n_vars": np.array(X.shape[1]),
            }
        )

    def _apply(self, X, batch, tissue):
        index = np.searchsorted(self.batches, batch.astype(str))
        for i in sorted(set(index)):
            rows = np.flatnonzero(index == i)
            if i == int(self.arrays["reference"]):
                continue
            X[rows] = map_columns(X[rows], self.arrays["source"][i], self.arrays["target"])
        return X


def quantiles(X: np.ndarray, n_quantiles: int) -> np.ndarray:
    """Return the quantiles (n_quantiles, n_vars) of the columns of X at the plotting positions (i - 1/2) / n."""
    return np.quantile(X, (np.arange(n_quantiles) + 0.5) / n_quantiles, axis=0, method="hazen")


def map_columns(X: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return X (n, n_vars) with each column mapped from its `source` to its `target` quantiles."""
    return np.stack([_map(X[:, j], source[:, j], target[:, j]) for j in range(X.shape[1])], axis=1)


def _map(x, source, target):
    """Return x mapped from the sorted `source` to the sorted `target` values at the same positions."""
    knots, first, counts = np.unique(source, return_index=True, return_counts=True)
    values = np.add.reduceat(target, first) / counts
    inside = np.interp(x, knots, values)
    inside = np.where(x < knots[0], x + values[0] - knots[0], inside)
    return np.where(x > knots[-1], x + values[-1] - knots[-1], inside)

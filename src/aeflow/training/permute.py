"""The permuted control: training rows without relations between variables."""

from __future__ import annotations

import numpy as np

from aeflow.table import Table


def permuted(table: Table, seed: int) -> Table:
    """Return the table with every column shuffled by itself: the same values, no relation between variables."""
    X = np.random.default_rng(seed).permuted(table.X, axis=0)
    return Table(X, table.obs, table.var, table.unit)

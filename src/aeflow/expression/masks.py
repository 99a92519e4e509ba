"""Gene sets over the variables of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aeflow.expression.genes import coverage, gene_set_mask, names_for_sets, read_gmt


@dataclass(frozen=True)
class GeneSetMask:
    """Which variable is in which set.

    mask : (n_vars, n_sets) float32 of 0 and 1; names : (n_sets,); coverage : how much of sets and variables is covered.
    """

    mask: np.ndarray
    names: list[str]
    coverage: dict[str, Any]


def gene_mask(gmt: str | Path, var: pd.DataFrame, min_genes: int) -> GeneSetMask:
    """Return the sets of a GMT file that have `min_genes` of the variables in `var`; DataError if none has."""
    sets = read_gmt(Path(gmt))
    names, vocabulary = names_for_sets(sets, var, str(gmt))
    mask, kept, report = gene_set_mask(sets, names, min_genes, str(gmt))
    return GeneSetMask(mask.astype(np.float32), list(kept), coverage(mask, report, vocabulary))

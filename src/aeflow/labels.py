"""Which rows have a label: one notion for label columns, strata, judges, heads and conditions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

# what sheets write where nothing is known, in small letters; "none" is not among them: it can be a class
UNLABELLED = frozenset(
    {"", "na", "n/a", "<na>", "nan", "null", "--", "'--", "not reported", "not available", "unknown"}
)
NO_LABEL = "no label"


def has_label(values: pd.Series | Sequence | np.ndarray) -> np.ndarray:
    """Return a mask (n,) of the values that are labels.

    Missing values (None, NaN, NA, NaT) and the words of `UNLABELLED`, in any case and with blanks around them, are
    none: rows that have them are left out where the label is asked for, and counted.
    """
    values = pd.Series(values).reset_index(drop=True)
    known = values.notna()
    if not pd.api.types.is_numeric_dtype(values.dtype):
        words = values.astype(object).where(known, "").astype(str)
        known &= ~words.str.strip().str.lower().isin(UNLABELLED)
    return known.to_numpy(dtype=bool)


def shown_labels(values: pd.Series | Sequence | np.ndarray) -> np.ndarray:
    """Return the text (n,) that stands for each value in a figure: `NO_LABEL` for what is no label."""
    values = pd.Series(values).reset_index(drop=True)
    return np.where(has_label(values), values.astype(object).astype(str), NO_LABEL)

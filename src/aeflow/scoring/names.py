"""Names of anomaly scores: family/score. Free of torch, so that drawing and comparing need none."""

from __future__ import annotations

import pandas as pd

BASELINE = "baseline"  # the family that needs no model


def is_baseline(score: str) -> bool:
    """Return whether a score needs no model."""
    return score.split("/")[0] == BASELINE


def score_columns(scores: pd.DataFrame) -> list[str]:
    """Return the names of the score columns of scores.parquet."""
    return [column for column in scores.columns if "/" in column]

"""The metrics that a leaderboard's text and figure show."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Shown:
    """Metrics of one part; None allows every subject or score. Numbers without a model are shown beside them."""

    part: str
    names: Collection[str]
    subjects: Collection[str] | None = None
    scores: Collection[str] | None = None


_FEW_SCORES = ("deviation/squared_error", "proximity/knn", "combined/max")
_SAMPLERS = ("prior", "normal", "gmm", "chain1000")

HEADLINE = (
    Shown("reconstruction", ("mse", "explained_variance")),
    Shown("likelihood", ("neg_log_likelihood",)),
    Shown("anomaly", ("auroc",)),
    Shown("dilution", ("auroc",), subjects=("20", "50"), scores=_FEW_SCORES),
    Shown("gene_outliers", ("auprc",), scores=("z3",)),
    Shown("representation", ("accuracy",), scores=("logistic", "mlp")),
    Shown("representation", ("largest_angle", "cka", "set_auroc", "n_unlabelled")),
    Shown("generation", ("frechet", "coverage", "gamma", "control_accuracy"), subjects=_SAMPLERS),
)

PICTURED = (
    Shown("reconstruction", ("explained_variance",)),
    Shown("anomaly", ("auroc",), scores=(*_FEW_SCORES, "density/neg_log_likelihood")),
    Shown("dilution", ("auroc",), subjects=("20",), scores=("combined/max",)),
    Shown("representation", ("accuracy",), subjects=("digit", "tissue"), scores=("logistic",)),
    Shown("generation", ("frechet",), subjects=("prior",)),
)


def headline_rows(frame: pd.DataFrame) -> np.ndarray:
    """Return a mask of the rows of a leaderboard, or of metrics, that the text shows: errors, AUROCs, draws, probes."""
    return _rows(frame, HEADLINE, baselines=True)


def pictured_rows(frame: pd.DataFrame) -> np.ndarray:
    """Return a mask of the few of them that the figure shows."""
    return _rows(frame, PICTURED, baselines=False)


def _rows(frame: pd.DataFrame, shown: tuple[Shown, ...], *, baselines: bool) -> np.ndarray:
    mask = np.zeros(len(frame), dtype=bool)
    for entry in shown:
        rows = (frame["part"] == entry.part) & frame["name"].isin(entry.names)
        for column, allowed in (("subject", entry.subjects), ("score", entry.scores)):
            if allowed is not None:
                rows &= frame[column].isin(allowed) | frame["baseline"]
        mask |= rows.to_numpy()
    return mask if baselines else mask & ~frame["baseline"].to_numpy()

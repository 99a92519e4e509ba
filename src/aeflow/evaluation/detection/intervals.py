"""Intervals of detection metrics: bootstrap over donors, so that rows of one donor are drawn together.

A resample is a weight per row (how often its donor was drawn), so one sort of the scores serves all resamples: AUROC,
AUPRC and false positive rate are read off cumulative weights. Donors are drawn within strata (those with normal rows
only, with anomalous rows only, with both), which keeps both classes in every resample. Intervals are percentiles
(Efron & Tibshirani 1993, section 13.3); they cover the choice of test donors, not the randomness of training.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd

from aeflow.errors import DataError
from aeflow.evaluation.checks import binary, labels, vector
from aeflow.evaluation.metric import Interval

log = logging.getLogger(__name__)
RECALL = 0.95
CONFIDENCE = 0.95
METRICS = ("auroc", "auprc", "fpr_at_95_recall")
CHUNK_VALUES = 2_000_000  # weights at once: 16 MB an array


class Curve:
    """Rows sorted once by score; metrics of any weights of them."""

    def __init__(self, label: np.ndarray, score: np.ndarray) -> None:
        self.order = np.argsort(-score, kind="stable")
        self.label = label[self.order]
        ranked = score[self.order]
        self.ends = np.flatnonzero(np.append(np.diff(ranked) != 0, True))  # rows of equal score are one step

    def metrics(self, weights: np.ndarray, recall: float) -> np.ndarray:
        """Return `METRICS` (3, n_resamples) for weights (n_resamples, n_obs)."""
        weights = weights[:, self.order]
        tp = np.cumsum(weights * self.label, axis=1)[:, self.ends]
        fp = np.cumsum(weights * ~self.label, axis=1)[:, self.ends]
        n_tp, n_fp = tp[:, -1:], fp[:, -1:]
        step_tp = np.diff(tp, axis=1, prepend=0)
        step_fp = np.diff(fp, axis=1, prepend=0)
        auroc = (step_fp * (tp - step_tp / 2)).sum(1) / (n_tp * n_fp)[:, 0]  # a tie counts half
        # a step without weight has no precision, and adds nothing
        precision = np.divide(tp, tp + fp, out=np.zeros_like(tp), where=tp + fp > 0)
        auprc = (step_tp * precision).sum(1) / n_tp[:, 0]
        first = (tp >= recall * n_tp - 1e-9).argmax(1)  # of a sum of whole weights: the tolerance hides no row
        fpr = np.take_along_axis(fp, first[:, None], axis=1)[:, 0] / n_fp[:, 0]
        return np.stack([auroc, auprc, fpr])


def group_weights(label: np.ndarray, groups: np.ndarray, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each row is drawn (n_resamples, n_obs), groups drawn with replacement within their stratum.

    The stratum of a group is the set of labels that its rows have.
    """
    codes, _ = pd.factorize(groups)
    n_groups = codes.max() + 1
    has = [np.bincount(codes[rows], minlength=n_groups) > 0 for rows in (~label, label)]
    stratum = has[0] + 2 * has[1]
    drawn = np.zeros((n_resamples, n_groups), dtype=np.float64)
    for kind in np.unique(stratum):
        members = np.flatnonzero(stratum == kind)
        drawn[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), n_resamples)
    return drawn[:, codes]


def differ(weights: np.ndarray) -> bool:
    """Return whether any of the resamples, weights (n_resamples, n_obs), is not the rows themselves."""
    return bool((weights != 1).any())


def detection_intervals(
    label: np.ndarray,
    scores: Mapping[str, np.ndarray],
    groups: np.ndarray,
    *,
    n_resamples: int = 500,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> dict[str, dict[str, Interval]]:
    """Return {score: {metric: interval}} for every metric of `METRICS`, the same resamples for every score.

    label (n_obs,) 1 = anomaly; scores {name: (n_obs,)}, higher = more anomalous; groups (n_obs,): donors, or sample_id
    where every row stands for itself. The ends are NaN, which the log says, where all resamples are the same, with one
    donor in each stratum. UndefinedError if a class is absent, DataError if a score is not finite.
    """
    if not 0 < confidence < 1:
        raise DataError(f"confidence: must be between 0 and 1, found {confidence}")
    if n_resamples < 2:
        raise DataError(f"n_resamples: at least 2 are needed, found {n_resamples}")
    n = len(groups)
    label = binary(label, "label", n)
    groups = labels(groups, "groups", n)
    curves = {name: Curve(label, vector(score, f"score {name}", n)) for name, score in scores.items()}
    rng = np.random.default_rng(seed)
    resampled: dict[str, list[np.ndarray]] = {name: [] for name in curves}
    chunk = max(1, CHUNK_VALUES // n)
    varied = False
    for start in range(0, n_resamples, chunk):
        weights = group_weights(label, groups, min(chunk, n_resamples - start), rng)
        varied = varied or differ(weights)
        for name, curve in curves.items():
            resampled[name].append(curve.metrics(weights, RECALL))
    if not varied:
        log.warning("detection intervals: left out: one donor in each stratum, so that all resamples are the same")
    out = {}
    for name, curve in curves.items():
        estimate = curve.metrics(np.ones((1, n)), RECALL)[:, 0]
        ends = [(1 - confidence) / 2, (1 + confidence) / 2]
        low, high = np.quantile(np.concatenate(resampled[name], axis=1), ends, axis=1)
        if not varied:
            low = high = np.full(len(METRICS), np.nan)
        out[name] = {m: Interval(float(estimate[i]), float(low[i]), float(high[i])) for i, m in enumerate(METRICS)}
    return out

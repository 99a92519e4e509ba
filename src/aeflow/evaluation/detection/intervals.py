"""Intervals of detection metrics: bootstrap over donors, so that rows of one donor are drawn together.

A resample is a weight per row (how often its donor was drawn), so one sort of the scores serves all resamples: AUROC,
AUPRC and false positive rate are read off cumulative weights. Donors are drawn within strata (those with normal rows
only, with anomalous rows only, with both), which keeps both classes in every resample. Intervals are percentiles
(Efron & Tibshirani 1993, section 13.3); they cover the choice of test donors, not the randomness of training.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aeflow.errors import DataError
from aeflow.evaluation.checks import binary, labels, vector

RECALL = 0.95
CONFIDENCE = 0.95
METRICS = ("auroc", "auprc", "fpr_at_95_recall")
CHUNK_VALUES = 2_000_000  # weights at once: 16 MB an array


def fpr_at_recall(label: np.ndarray, score: np.ndarray, recall: float = RECALL) -> float:
    """Return the share of normal rows at or above the highest threshold that finds `recall` of the anomalies.

    label (n_obs,) 1 = anomaly; score (n_obs,), higher = more anomalous. DataError if a class is absent.
    """
    if not 0 < recall <= 1:
        raise DataError(f"recall: must be above 0 and at most 1, found {recall}")
    score = vector(score, "score")
    return float(Curve(binary(label, "label", len(score)), score).metrics(np.ones((1, len(score))), recall)[2, 0])


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
        step_tp, step_fp = np.diff(tp, axis=1, prepend=0), np.diff(fp, axis=1, prepend=0)
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


def _resampled(
    label: np.ndarray, scores: list[np.ndarray], groups: np.ndarray, n_resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return estimates (n_scores, 3) and resampled metrics (n_scores, 3, n_resamples), the same resamples for all."""
    if n_resamples < 2:
        raise DataError(f"n_resamples: at least 2 are needed, found {n_resamples}")
    n = len(scores[0])
    label, groups = binary(label, "label", n), labels(groups, "groups", n)
    curves = [Curve(label, score) for score in scores]
    estimate = np.stack([curve.metrics(np.ones((1, n)), RECALL)[:, 0] for curve in curves])
    rng, parts, chunk = np.random.default_rng(seed), [], max(1, CHUNK_VALUES // n)
    for start in range(0, n_resamples, chunk):
        weights = group_weights(label, groups, min(chunk, n_resamples - start), rng)
        parts.append(np.stack([curve.metrics(weights, RECALL) for curve in curves]))
    return estimate, np.concatenate(parts, axis=2)


def _named(estimate: np.ndarray, resampled: np.ndarray, suffix: str, confidence: float) -> dict[str, float]:
    if not 0 < confidence < 1:
        raise DataError(f"confidence: must be between 0 and 1, found {confidence}")
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    out = {}
    for i, name in enumerate(METRICS):
        stem = f"{name}{suffix}"
        out |= {stem: float(estimate[i]), f"{stem}_low": float(low[i]), f"{stem}_high": float(high[i])}
    return out


def detection_intervals(
    label: np.ndarray,
    score: np.ndarray,
    groups: np.ndarray,
    *,
    n_resamples: int = 500,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> dict[str, float]:
    """Return {metric, metric_low, metric_high} for every metric of `METRICS`.

    label (n_obs,) 1 = anomaly; score (n_obs,), higher = more anomalous; groups (n_obs,): donors, or sample_id where
    every row stands for itself. DataError if a class is absent or a score is not finite.
    """
    estimate, resampled = _resampled(label, [vector(score, "score")], groups, n_resamples, seed)
    return _named(estimate[0], resampled[0], "", confidence)


def paired_difference(
    label: np.ndarray,
    score: np.ndarray,
    baseline: np.ndarray,
    groups: np.ndarray,
    *,
    n_resamples: int = 500,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> dict[str, float]:
    """Return {metric_difference, .._low, .._high}: `score` minus `baseline` (PCA) on the same rows and resamples.

    An interval above 0 (below 0 for fpr_at_95_recall) says that `score` is better. Arguments as detection_intervals.
    """
    score = vector(score, "score")
    estimate, resampled = _resampled(
        label, [score, vector(baseline, "baseline", len(score))], groups, n_resamples, seed
    )
    return _named(estimate[0] - estimate[1], resampled[0] - resampled[1], "_difference", confidence)

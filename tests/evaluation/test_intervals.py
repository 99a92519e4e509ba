"""Bootstrap intervals against scikit-learn, a brute-force bootstrap and simulated coverage."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from aeflow.errors import DataError
from aeflow.evaluation.detection.intervals import (
    METRICS,
    Curve,
    detection_intervals,
    fpr_at_recall,
    group_weights,
    paired_difference,
)


def brute_fpr(label, score, recall):
    """Try every threshold from the top; the first with enough anomalies counts."""
    for threshold in sorted(set(score), reverse=True):
        if (score[label == 1] >= threshold).mean() >= recall - 1e-12:
            return (score[label == 0] >= threshold).mean()
    raise AssertionError


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=40))
@settings(max_examples=150, deadline=None)
def test_weighted_metrics_equal_those_of_repeated_rows(rows):
    """Breaks if ties, rows of weight zero or cumulative weights are treated otherwise than by scikit-learn."""
    label, score, weight = (np.array(part) for part in zip(*rows, strict=True))
    score = score.astype(float)
    if not (weight[label] > 0).any() or not (weight[~label] > 0).any():
        return
    found = Curve(label, score).metrics(weight[None].astype(float), 0.95)[:, 0]
    y, s = np.repeat(label, weight).astype(int), np.repeat(score, weight)
    assert found == pytest.approx([roc_auc_score(y, s), average_precision_score(y, s), brute_fpr(y, s, 0.95)])


def test_fpr_at_recall_by_hand():
    """Breaks if the threshold is taken on the wrong side of a score or the recall is of the wrong class."""
    label = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    score = np.array([9.0, 8, 7, 1, 8.5, 2, 1, 0])
    assert fpr_at_recall(label, score, recall=0.75) == 0.25
    assert fpr_at_recall(label, score) == 0.75  # the last anomaly ties with a normal row
    fpr, tpr, _ = roc_curve(label, score, drop_intermediate=False)
    assert fpr_at_recall(label, score) == fpr[np.argmax(tpr >= 0.95)]


def test_rows_of_a_group_are_drawn_together_and_classes_keep_their_size():
    """Breaks if rows are drawn alone, or a resample can lose the anomalies."""
    label = np.array([True, True, False, False, False, True])
    groups = np.array(["a", "a", "b", "b", "c", "c"])
    weights = group_weights(label, groups, 200, np.random.default_rng(0))
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 2] == weights[:, 3]).all()
    assert (weights == 1).all()  # every stratum has one group here
    label = np.repeat([True, False], 50)
    weights = group_weights(label, np.arange(100), 200, np.random.default_rng(0))
    assert (weights[:, :50].sum(1) == 50).all()
    assert weights.var() == pytest.approx(1, rel=0.05)  # multinomial: 1 - 1/n


def test_intervals_cover_the_true_auroc():
    """Breaks if the interval is of something else than AUROC: two normals one unit apart have Phi(1/sqrt 2)."""
    rng, truth, hits = np.random.default_rng(1), 0.7602, 0
    for seed in range(200):
        score = np.r_[rng.normal(1, 1, 60), rng.normal(0, 1, 60)]
        found = detection_intervals(np.repeat([1, 0], 60), score, np.arange(120), n_resamples=200, seed=seed)
        hits += found["auroc_low"] <= truth <= found["auroc_high"]
    assert 0.89 < hits / 200 <= 1


def test_groups_widen_the_interval():
    """Breaks if rows of one donor count as independent: ten copies of each row bring no information."""
    rng = np.random.default_rng(0)
    label, score = np.repeat([1, 0], 30), np.r_[rng.normal(0.7, 1, 30), rng.normal(0, 1, 30)]
    once = detection_intervals(label, score, np.arange(60), seed=3)
    many = [np.repeat(part, 10) for part in (label, score, np.arange(60))]
    grouped, alone = detection_intervals(*many, seed=3), detection_intervals(many[0], many[1], np.arange(600), seed=3)
    assert grouped == pytest.approx(once)
    width = {key: found["auroc_high"] - found["auroc_low"] for key, found in (("grouped", grouped), ("alone", alone))}
    assert width["grouped"] > 2 * width["alone"]


def test_difference_is_paired():
    """Breaks if the two scores are resampled apart: a score equal to the baseline differs by exactly nothing."""
    rng = np.random.default_rng(0)
    label, base = np.repeat([1, 0], 40), rng.normal(size=80)
    same = paired_difference(label, base, np.exp(base), np.arange(80))
    assert all(value == 0 for value in same.values())
    better = paired_difference(label, base + 2 * label, base, np.arange(80))
    assert set(better) == {f"{m}_difference{s}" for m in METRICS for s in ("", "_low", "_high")}
    assert better["auroc_difference_low"] > 0 > better["fpr_at_95_recall_difference_high"]
    alone = [detection_intervals(label, s, np.arange(80))["auroc"] for s in (base + 2 * label, base)]
    assert better["auroc_difference"] == pytest.approx(alone[0] - alone[1])


def test_500_resamples_of_10_000_rows_take_seconds():
    """Breaks if every resample is sorted again."""
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    detection_intervals(rng.integers(0, 2, 10_000), rng.normal(size=10_000), np.arange(10_000), n_resamples=500)
    assert time.perf_counter() - start < 8


def test_bad_input_is_named():
    """Breaks if a metric of one class, or of NaN scores, is returned."""
    with pytest.raises(DataError, match="label: at least 2 classes are needed, found \\[1\\]"):
        fpr_at_recall(np.ones(3, dtype=int), np.arange(3.0))
    with pytest.raises(DataError, match="score: value 1 is nan"):
        detection_intervals([0, 1, 1], [0.0, np.nan, 1.0], [1, 2, 3])
    with pytest.raises(DataError, match="labels must be 0 and 1, found \\[1, 2\\]"):
        fpr_at_recall(np.array([1, 2, 1]), np.arange(3.0))
    with pytest.raises(DataError, match="baseline: 3 values are needed, found 2"):
        paired_difference([0, 1, 1], [0.0, 1, 2], [0.0, 1], [1, 2, 3])

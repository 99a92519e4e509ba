"""Bootstrap intervals against scikit-learn, a brute-force bootstrap and simulated coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from aeflow.errors import DataError
from aeflow.evaluation.detection import intervals as module
from aeflow.evaluation.detection.intervals import METRICS, Curve, detection_intervals, group_weights


def intervals(label, score, groups, **keywords):
    """Return the intervals of one score."""
    return detection_intervals(label, {"one": score}, groups, **keywords)["one"]


def fpr(label, score, recall):
    return Curve(label.astype(bool), score).metrics(np.ones((1, len(label))), recall)[2, 0]


def brute_fpr(label, score, recall):
    """Try every threshold from the top; the first with enough anomalies counts."""
    for threshold in sorted(set(score), reverse=True):
        if (score[label == 1] >= threshold).mean() >= recall - 1e-12:
            return (score[label == 0] >= threshold).mean()
    raise AssertionError


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=40))
@settings(max_examples=100)
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
    assert fpr(label, score, recall=0.75) == 0.25
    assert fpr(label, score, recall=0.95) == 0.75  # the last anomaly ties with a normal row
    false_positive, true_positive, _ = roc_curve(label, score, drop_intermediate=False)
    found = intervals(label, score, np.arange(8), n_resamples=2)["fpr_at_95_recall"]
    assert found.value == fpr(label, score, recall=0.95) == false_positive[np.argmax(true_positive >= 0.95)]


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
        found = intervals(np.repeat([1, 0], 60), score, np.arange(120), n_resamples=200, seed=seed)["auroc"]
        hits += found.low <= truth <= found.high
    assert 0.89 < hits / 200 <= 1


def test_groups_widen_the_interval():
    """Breaks if rows of one donor count as independent: ten copies of each row bring no information."""
    rng = np.random.default_rng(0)
    label, score = np.repeat([1, 0], 30), np.r_[rng.normal(0.7, 1, 30), rng.normal(0, 1, 30)]
    once = intervals(label, score, np.arange(60), seed=3)
    many = [np.repeat(part, 10) for part in (label, score, np.arange(60))]
    grouped = intervals(*many, seed=3)
    alone = intervals(many[0], many[1], np.arange(600), seed=3)
    for metric in METRICS:
        assert grouped[metric] == pytest.approx(once[metric])
    width = {key: found["auroc"].high - found["auroc"].low for key, found in (("grouped", grouped), ("alone", alone))}
    assert width["grouped"] > 2 * width["alone"]


def test_resamples_are_shared_by_all_scores():
    """Breaks if two scores are resampled apart: one that ranks as the other then has another interval."""
    rng = np.random.default_rng(0)
    label, base = np.repeat([1, 0], 40), rng.normal(size=80)
    scores = {"base": base, "same ranks": np.exp(base), "better": base + 2 * label}
    found = detection_intervals(label, scores, np.arange(80))
    assert found["same ranks"] == found["base"]
    assert set(found["better"]) == set(METRICS)
    assert found["better"]["auroc"].low > found["base"]["auroc"].value
    assert found["better"]["fpr_at_95_recall"].value < found["base"]["fpr_at_95_recall"].value
    for name, score in scores.items():  # company changes nothing
        assert found[name] == intervals(label, score, np.arange(80))


def test_one_sort_serves_all_resamples(monkeypatch):
    """Breaks if every resample is sorted again: 500 of 10,000 rows would take minutes."""
    sorts = []
    monkeypatch.setattr(np, "argsort", lambda *a, sort=np.argsort, **k: (sorts.append(len(a[0])), sort(*a, **k))[1])
    rng = np.random.default_rng(0)
    intervals(rng.integers(0, 2, 10_000), rng.normal(size=10_000), np.arange(10_000), n_resamples=500)
    assert sorts.count(10_000) == 1


def test_intervals_do_not_depend_on_how_many_weights_are_held_at_once(monkeypatch):
    """Breaks if resamples are lost, or drawn twice, where they do not fit in memory together."""
    rng = np.random.default_rng(0)
    label, score = rng.integers(0, 2, 50), rng.normal(size=50)
    whole = group_weights(label.astype(bool), np.arange(50), 30, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    parts = [group_weights(label.astype(bool), np.arange(50), n, rng) for n in (10, 10, 10)]
    assert np.concatenate(parts).shape == whole.shape
    monkeypatch.setattr(module, "CHUNK_VALUES", 500)
    found = intervals(label, score, np.arange(50), n_resamples=30)["auroc"]
    values = Curve(label.astype(bool), score).metrics(np.concatenate(parts), 0.95)[0]
    assert (found.low, found.high) == tuple(np.quantile(values, [(1 - 0.95) / 2, (1 + 0.95) / 2]))


def test_bad_input_is_named():
    """Breaks if a metric of one class, or of NaN scores, is returned."""
    with pytest.raises(DataError, match="label: at least 2 classes are needed, found \\[1\\]"):
        intervals(np.ones(3, dtype=int), np.arange(3.0), [1, 2, 3])
    with pytest.raises(DataError, match="score one: value 1 is nan"):
        intervals([0, 1, 1], [0.0, np.nan, 1.0], [1, 2, 3])
    with pytest.raises(DataError, match="labels must be 0 and 1, found \\[1, 2\\]"):
        intervals(np.array([1, 2, 1]), np.arange(3.0), [1, 2, 3])
    with pytest.raises(DataError, match="score one: 3 values are needed, found 2"):
        intervals([0, 1, 1], [0.0, 1], [1, 2, 3])
    with pytest.raises(DataError, match="confidence: must be between 0 and 1, found 95"):
        intervals([0, 1, 1], [0.0, 1, 2], [1, 2, 3], confidence=95)
    with pytest.raises(DataError, match="n_resamples: at least 2 are needed, found 1"):
        intervals([0, 1, 1], [0.0, 1, 2], [1, 2, 3], n_resamples=1)


def test_one_donor_has_no_interval(caplog):
    """Breaks if resamples that are all the same give an interval of width 0, as if nothing were surer."""
    label = np.repeat([0, 1], [4, 6])
    score = np.arange(10.0)
    for groups in (np.repeat(["n", "t"], [4, 6]), np.repeat("both", 10)):
        found = intervals(label, score, groups, n_resamples=20)["auroc"]
        assert found.value == 1 and np.isnan(found.low) and np.isnan(found.high)
    assert "detection intervals: left out: one donor in each stratum" in caplog.text
    found = intervals(label, score, np.r_[["n"] * 4, [f"t{i}" for i in range(6)]], n_resamples=20)["auroc"]
    assert found.low == found.high == 1

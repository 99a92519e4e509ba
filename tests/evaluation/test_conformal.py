"""Conformal p-values: their promise on exchangeable normals, and Benjamini-Hochberg by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeflow.errors import DataError
from aeflow.evaluation.detection.conformal import conformal_metrics, conformal_p_values, q_values, uniformity


def test_by_hand():
    """Breaks if a tie does not count, or the row itself is not counted."""
    assert conformal_p_values([1.0, 2, 3, 4], [5.0, 3, 0]) == pytest.approx([1 / 5, 3 / 5, 1])


@given(st.lists(st.integers(0, 6), min_size=2, max_size=30))
@settings(max_examples=200)
def test_p_values_are_conservative_over_every_exchange(scores):
    """Breaks for any scores if P(p <= t) > t, each row in turn being the held-out one among equals."""
    scores = np.array(scores, dtype=float)
    p = np.array([conformal_p_values(np.delete(scores, i), scores[i : i + 1])[0] for i in range(len(scores))])
    for t in np.arange(1, len(scores) + 1) / len(scores):
        assert (p <= t + 1e-12).mean() <= t + 1e-12


def test_held_out_normals_are_uniform_and_false_discoveries_controlled():
    """Breaks if calibration is not used as it should: over repeats alarms, KS distance and FDR miss their promise."""
    rng, found = np.random.default_rng(0), []
    label = np.repeat([0, 1], [300, 30])
    for _ in range(200):
        score = rng.gamma(2, size=330) + 12 * label
        found.append(conformal_metrics(conformal_p_values(rng.gamma(2, size=400), score), label))
    mean = {key: np.mean([f[key] for f in found]) for key in found[0]}
    assert mean["alarms"] == pytest.approx(20 / 401, abs=0.005)
    assert mean["false_discovery_proportion"] <= 0.1 * 300 / 330 + 0.015
    assert mean["power"] > 0.9
    assert mean["ks"] < 0.1


def test_normals_of_another_kind_are_caught():
    """Breaks if the excess has the wrong sign: normals of another study score higher, their p-values are too small."""
    rng = np.random.default_rng(0)
    shifted = uniformity(conformal_p_values(rng.normal(size=999), rng.normal(1, 1, 500)))
    quiet = uniformity(conformal_p_values(rng.normal(size=999), rng.normal(-1, 1, 500)))
    assert shifted["ks_excess"] > 0.3
    assert shifted["alarms"] > 0.15
    assert quiet["ks"] > 0.3
    assert quiet["ks_excess"] < 0.02


def test_q_values_by_hand():
    """Breaks if q-values are not monotone minima of p m / rank."""
    assert q_values([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])
    metrics = conformal_metrics([0.01, 0.9, 0.012, 0.8], [1, 1, 0, 0])
    assert metrics["n_discoveries"] == 2
    assert (metrics["false_discovery_proportion"], metrics["power"]) == (0.5, 0.5)
    assert conformal_metrics([0.9, 0.8], [1, 0])["false_discovery_proportion"] == 0


def test_bad_input_is_named():
    """Breaks if NaN scores get a p-value."""
    with pytest.raises(DataError, match="calibration: value 0 is nan"):
        conformal_p_values([np.nan], [1.0])
    with pytest.raises(DataError, match="calibration: numbers along one axis"):
        conformal_p_values([], [1.0])
    with pytest.raises(DataError, match=r"found 0 to 1\.5"):
        q_values([0, 1.5])

"""Steps of preprocessing by hand: each row by itself, selection by median absolute deviation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeflow.dataset.steps import binarise, fit_selection, normalise
from aeflow.errors import DataError


def test_selection_takes_the_largest_mad():
    """Breaks if genes are ranked by variance, which one outlier decides, or a constant gene is chosen."""
    X = np.zeros((11, 4), dtype=np.float32)
    X[:, 0] = np.arange(11)  # MAD 3
    X[0, 1] = 1000.0  # MAD 0, largest variance
    X[:, 2] = np.arange(11) * 2  # MAD 6; column 3 is constant
    assert fit_selection(X, 1).tolist() == [2]
    assert fit_selection(X, 2).tolist() == [0, 2]
    assert fit_selection(X, 4).tolist() == [0, 1, 2]


def test_normalise_by_hand():
    """Breaks if zeros enter the upper quartile or the target is not 1000."""
    X = np.array([[0, 0, 1, 2, 3, 4, 5]], dtype=np.float32)
    assert np.allclose(normalise(X, "upper_quartile"), X / 4 * 1000)
    assert np.allclose(normalise(X, "cpm").sum(1), 1e6)
    assert np.array_equal(normalise(X, "none"), X)


@given(st.integers(0, 2**31 - 1))
def test_normalise_removes_depth(seed):
    """Breaks if a sample's sequencing depth survives."""
    rng = np.random.default_rng(seed)
    X = rng.gamma(1.0, 100.0, size=(3, 20)).astype(np.float32) + 1
    depth = rng.uniform(0.5, 20, size=(3, 1)).astype(np.float32)
    for method in ("cpm", "upper_quartile"):
        assert np.allclose(normalise(X * depth, method), normalise(X, method), rtol=1e-3)


def test_empty_sample_is_refused():
    """Breaks if a sample without counts becomes NaN."""
    X = np.array([[1, 2], [0, 0]], dtype=np.float32)
    with pytest.raises(DataError, match="row 1 has no value above zero"):
        normalise(X, "cpm")
    with pytest.raises(DataError, match="sample 'b' has no value above zero; there are 1 such rows"):
        normalise(X, "upper_quartile", ["a", "b"])


def test_fewer_variables_than_asked_for_are_said(caplog):
    """Breaks if a configuration that asks for 5 variables gets 2 without a word, or none."""
    X = np.array([[1, 2, 3, 3], [1, 4, 3, 9], [1, 3, 3, 1]], dtype=np.float32)
    assert fit_selection(X, 5).tolist() == [1, 3]
    assert "n_top_vars: 5 were asked for, 2 vary" in caplog.text
    with pytest.raises(DataError, match="none of 2 variables varies among the 3 rows"):
        fit_selection(X[:, [0, 2]], 5)


def test_the_cohort_is_binarised_by_one_stream():
    """Breaks if the draws of a published dataset change: they are those of one matrix of uniform numbers."""
    X = np.random.default_rng(1).random((2500, 7), dtype=np.float32)  # more rows than are drawn at once
    ids = [f"s{i}" for i in range(len(X))]
    expected = np.random.default_rng(5).random(X.shape, dtype=np.float32) < X
    assert np.array_equal(binarise(X, ids, ids, 5), expected)


def test_a_row_keeps_its_draw_wherever_it_stands():
    """Breaks if a sample is drawn otherwise when it is given alone, in another order, or beside new samples."""
    X = np.random.default_rng(1).random((2500, 7), dtype=np.float32)
    ids = np.array([f"s{i}" for i in range(len(X))])
    cohort = ids[:2000]
    whole = binarise(X, ids, cohort, 5)
    for rows in ([3], [2100], [1999, 0, 2400, 1023, 1024]):
        assert np.array_equal(binarise(X[rows], ids[rows], cohort, 5), whole[rows])
    grey = np.full((2, 4000), 0.3, np.float32)
    new = binarise(grey, ["x", "y"], cohort, 5)
    assert not np.array_equal(new[0], new[1]) and abs(new.mean() - 0.3) < 0.03
    assert not np.array_equal(new, binarise(grey, ["x", "y"], cohort, 6))

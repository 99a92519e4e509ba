"""Two-sample distances against closed forms, scipy's matrix root and double loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from aeflow.errors import DataError
from aeflow.evaluation.generation.two_samples import classifier_two_sample, frechet_distance, median_bandwidth, mmd2


def whitened(n, d, seed):
    """Rows whose mean is exactly 0 and unbiased covariance exactly I."""
    x = np.random.default_rng(seed).normal(size=(n, d))
    x -= x.mean(0)
    return np.linalg.qr(x)[0] * np.sqrt(n - 1)


def test_frechet_distance_of_known_gaussians():
    """Breaks if a root or a factor is missing: diagonal covariances have sum (s_a - s_b)^2."""
    a, b = whitened(50, 3, 0) * [1, 2, 3] + [1, 0, 0], whitened(80, 3, 1) * [2, 2, 1] + [0, 0, 2]
    assert frechet_distance(a, b) == pytest.approx(1 + 4 + 1 + 0 + 4)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-12)


@given(st.integers(0, 10**6))
@settings(max_examples=25)
def test_frechet_distance_equals_the_matrix_root(seed):
    """Breaks for covariances that do not commute."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(40, 4)) @ rng.normal(size=(4, 4)), rng.normal(size=(30, 4)) @ rng.normal(size=(4, 4))
    sa, sb = np.cov(a.T), np.cov(b.T)
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(sa + sb - 2 * sqrtm(sa @ sb).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6, abs=1e-8)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a))


def test_frechet_distance_of_singular_covariances():
    """Breaks if fewer rows than features, or constant features, give NaN or complex numbers."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(10, 50)), rng.normal(size=(12, 50))
    a[:, :5] = b[:, :5] = 3
    assert 0 < frechet_distance(a, b) < np.inf
    assert frechet_distance(a, a + 2) == pytest.approx(4 * 50)


def test_mmd_by_double_loop():
    """Breaks if the diagonal is counted, or the bandwidth comes from generated rows."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(5, 1, size=(7, 2)), rng.normal(6, 1, size=(5, 2))
    h = np.median([np.linalg.norm(x[i] - x[j]) for i in range(7) for j in range(i)])
    assert median_bandwidth(x) == pytest.approx(h)

    def k(a, b):
        return np.exp(-np.square(a - b).sum() / (2 * h * h))

    within = [np.mean([k(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j]) for s in (x, y)]
    across = np.mean([k(a, b) for a in x for b in y])
    assert mmd2(x, y) == pytest.approx(sum(within) - 2 * across)


def test_mmd_is_unbiased():
    """Breaks if equal distributions give a positive mean, as the biased estimate does."""
    rng = np.random.default_rng(0)
    found = [mmd2(rng.normal(size=(20, 2)), rng.normal(size=(20, 2)), bandwidth=1.0) for _ in range(300)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(300)
    assert min(found) < 0


def test_classifier_finds_what_there_is():
    """Breaks if training rows are judged (0.5 is exceeded), or only one kind of difference is seen."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=(150, 5))
    same = classifier_two_sample(real, rng.normal(size=(150, 5)))
    assert same["auroc"] == pytest.approx(0.5, abs=0.12)
    shifted = classifier_two_sample(real, rng.normal(1, 1, size=(150, 5)))
    assert shifted["auroc_logistic"] > 0.9
    wider = classifier_two_sample(real, rng.normal(0, 3, size=(150, 5)))  # no linear boundary
    assert wider["classifier"] == "gradient_boosting"
    assert wider["auroc"] == wider["auroc_gradient_boosting"] > 0.9
    assert wider["auroc_logistic"] < 0.65


def test_donors_are_not_divided():
    """Breaks if repeated rows of a donor stand in training and test rows: twins would be recognised."""
    rng = np.random.default_rng(0)
    real = np.repeat(rng.normal(size=(20, 30)), 10, axis=0)
    draws = np.repeat(rng.normal(size=(200, 30)), 1, axis=0)
    donors = np.repeat(np.arange(20), 10)
    alone = classifier_two_sample(real, draws)
    grouped = classifier_two_sample(real, draws, groups=donors)
    assert alone["auroc"] > 0.95
    assert grouped["auroc"] < alone["auroc"] - 0.1


def test_bad_input_is_named():
    """Breaks if a distance of one row or equal rows is returned."""
    with pytest.raises(DataError, match="b: at least 2 rows are needed, found 1"):
        frechet_distance(np.eye(3), np.ones((1, 3)))
    with pytest.raises(DataError, match="median distance between rows is 0"):
        mmd2(np.ones((5, 2)), np.eye(2))
    with pytest.raises(DataError, match="5 folds need as many donors, found 2"):
        classifier_two_sample(np.eye(6), np.eye(6), groups=[0, 0, 0, 1, 1, 1])

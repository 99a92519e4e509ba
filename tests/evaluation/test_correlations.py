"""Gene-gene correlation agreement, its Gaussian floor, and what classifiers learn from draws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeflow.errors import DataError
from aeflow.evaluation.generation import correlations
from aeflow.evaluation.generation.augmentation import augmentation, few_rows, train_on_synthetic
from aeflow.evaluation.generation.correlations import class_gaussian_draws, correlation_agreement


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_gamma_by_its_definition(seed):
    """Breaks if the lower triangle or the diagonal counts, or the two are paired wrongly."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(6, 6))
    real, generated = rng.normal(size=(30, 6)) @ mix + 50, rng.normal(size=(20, 6)) @ (mix + rng.normal(size=(6, 6)))
    above = np.triu_indices(6, 1)
    d = [1 - np.corrcoef(x.T)[above] for x in (real, generated)]
    assert correlation_agreement(real, generated)["gamma"] == pytest.approx(np.corrcoef(*d)[0, 1])
    assert correlation_agreement(real, real * np.arange(1, 7) + 3)["gamma"] == pytest.approx(1)


def test_blocks_of_genes_change_nothing(monkeypatch):
    """Breaks if pairs across blocks are lost or counted twice."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(40, 40))
    real, generated = rng.normal(size=(60, 40)) @ mix, rng.normal(size=(50, 40)) @ mix
    whole = correlation_agreement(real, generated)["gamma"]
    monkeypatch.setattr(correlations, "BLOCK", 7)
    assert correlation_agreement(real, generated)["gamma"] == pytest.approx(whole, abs=1e-12)


def test_constant_genes_are_counted():
    """Breaks if a gene that does not vary gives NaN, or a collapsed generator stops the comparison."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=(50, 8)) @ rng.normal(size=(8, 8))
    real[:, 0], draws = 0.1, real.copy()
    draws[:, 0], draws[:, 1] = rng.normal(size=50), 0.7
    found = correlation_agreement(real, draws)
    assert (found["n_vars_used"], found["n_vars_constant"]) == (7, 1)
    assert 0 < found["gamma"] < 1
    assert correlation_agreement(real, np.full((9, 8), 0.3))["gamma"] == 0
    with pytest.raises(DataError, match="real: 1 of 8 variables vary"):
        correlation_agreement(np.c_[real[:, 1], np.ones((50, 7))], draws)


def cohort(n, seed, n_vars=12):
    """Two tissues of different means and one covariance."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(n_vars, n_vars))
    y = np.array(["liver", "lung"])[rng.integers(0, 2, n)]
    return rng.normal(size=(n, n_vars)) @ mix + np.where(y == "lung", 6, 0)[:, None] * (np.arange(n_vars) < 3), y


def test_floor_has_the_moments_of_its_classes():
    """Breaks if a mean is of the wrong class, the covariance is not pooled within classes, or shrinkage is ignored."""
    x, y = cohort(1500, 0)
    wanted = np.repeat(["lung", "liver"], 8000)
    draws = class_gaussian_draws(x, y, wanted, np.random.default_rng(0))
    within = np.concatenate([x[y == t] - x[y == t].mean(0) for t in ("lung", "liver")])
    for tissue in ("lung", "liver"):
        assert np.abs(draws[wanted == tissue].mean(0) - x[y == tissue].mean(0)).max() < 0.25
        error = np.cov(draws[wanted == tissue].T) - np.cov(within.T)
        assert np.abs(error).max() < 0.08 * np.diag(np.cov(within.T)).max()
    assert correlation_agreement(x, draws)["gamma"] > 0.99
    apart = class_gaussian_draws(x, y, wanted, np.random.default_rng(0), shrinkage=1.0)
    correlation = np.corrcoef(apart[wanted == "lung"].T) - np.eye(12)
    assert np.abs(correlation).max() < 0.06
    assert apart[wanted == "lung"].std(0) == pytest.approx(within.std(0), rel=0.03)


def test_floor_is_seeded_and_knows_its_classes():
    """Breaks if draws differ between equal seeds, or a class without training rows gets draws."""
    x, y = cohort(50, 0)
    one, two = (class_gaussian_draws(x, y, ["lung"] * 3, np.random.default_rng(4)) for _ in range(2))
    assert (one == two).all()
    assert one.shape == (3, 12)
    with pytest.raises(DataError, match="no training row is 'skin'; there are \\['liver', 'lung'\\]"):
        class_gaussian_draws(x, y, ["skin"], np.random.default_rng(0))
    with pytest.raises(DataError, match="50 classes of 50 rows leave no covariance"):
        class_gaussian_draws(x, np.arange(50), [3], np.random.default_rng(0))


def test_train_on_synthetic_test_on_real():
    """Breaks if draws are tested on themselves, or real and synthetic are swapped: here the draws' labels are wrong."""
    train, test = cohort(300, 0), cohort(200, 1)
    draws = class_gaussian_draws(*train, train[1], np.random.default_rng(0))
    good = train_on_synthetic(draws, train[1], *train, *test)
    assert good["accuracy_synthetic"] > 0.9
    bad = train_on_synthetic(draws, np.where(train[1] == "lung", "liver", "lung"), *train, *test)
    assert bad["accuracy_synthetic"] < 0.1
    assert bad["accuracy_real"] == good["accuracy_real"] > 0.9
    assert 0.4 < good["majority"] < 0.6


def test_augmentation_and_its_control():
    """Breaks if the control adds the few rows again, or augmentation does not use the draws."""
    train, test = cohort(400, 0), cohort(300, 1)
    draws = class_gaussian_draws(*train, train[1][:200], np.random.default_rng(0))
    good = augmentation(*train, draws, train[1][:200], *test, n_real=6, n_repeats=4)
    assert good["accuracy_augmented"] > good["accuracy_real"] + 0.05
    assert good["accuracy_control"] > good["accuracy_real"] + 0.05
    assert (good["n_real"], good["n_added"], good["n_control"]) == (6, 200, 200)
    noise = np.random.default_rng(0).permutation(train[1][:200])
    bad = augmentation(*train, draws, noise, *test, n_real=6, n_repeats=4)
    assert bad["accuracy_augmented"] < good["accuracy_augmented"] - 0.1
    assert bad["accuracy_control"] == good["accuracy_control"]
    many = class_gaussian_draws(*train, np.repeat(train[1], 2), np.random.default_rng(0))
    found = augmentation(*train, many, np.repeat(train[1], 2), *test, n_real=6, n_repeats=2)
    assert (found["n_added"], found["n_control"]) == (800, 394)  # all other real rows there are


def test_few_rows_hold_every_class():
    """Breaks if a tissue can be missing from the few real rows, or a row is drawn twice."""
    y = np.array(["a"] * 50 + ["b"])
    for seed in range(20):
        rows = few_rows(y, 5, np.random.default_rng(seed))
        assert len(set(rows)) == 5
        assert 50 in rows
    with pytest.raises(DataError, match="n_real: 1 rows cannot be taken of 51 rows in 2 classes"):
        few_rows(y, 1, np.random.default_rng(0))
    x = np.zeros((51, 2))
    with pytest.raises(DataError, match="n_real: 51 of 51 real rows leave none for the control"):
        augmentation(x, y, x, y, x, y, n_real=51)

"""Injected outliers: where, how large, and who finds them."""

import numpy as np
import pytest

from aeflow.errors import DataError
from aeflow.evaluation.challenge.gene_outliers import inject_outliers, outlier_auprc, pca_residual, whole_value


def programs(n, seed, n_vars=60, noise=0.3):
    """Genes driven by three programs and a little noise, standardised."""
    z = np.random.default_rng(seed).normal(size=(n, 3))
    mix = np.random.default_rng(7).normal(size=(3, n_vars))
    x = z @ mix + noise * np.random.default_rng(seed + 1).normal(size=(n, n_vars))
    return x / np.sqrt(np.square(mix).sum(0) + noise**2)


def search(residual, train, test, **keywords):
    """Return what a residual finds, its own training residuals handed in."""
    return outlier_auprc(residual(train), residual, train, test, **keywords)


def test_injection():
    """Breaks if a value is added rather than set, the frequency is off, or a constant gene gets an outlier."""
    x = programs(500, 0)
    sd = x.std(0)
    sd[5] = 0
    out, injected = inject_outliers(x, x.mean(0), sd, magnitude=6, frequency=0.01, seed=3)
    assert injected.sum() == round(0.01 * 500 * 59)
    assert not injected[:, 5].any()
    assert (out[~injected] == x[~injected]).all()
    z = ((out - x.mean(0)) / np.where(sd > 0, sd, 1))[injected]
    assert np.abs(z) == pytest.approx(6)
    assert 0.4 < (z > 0).mean() < 0.6
    again, where = inject_outliers(x, x.mean(0), sd, magnitude=6, frequency=0.01, seed=3)
    assert (where == injected).all()
    assert (again == out).all()
    assert not (inject_outliers(x, x.mean(0), sd, magnitude=6, frequency=0.01, seed=4)[1] == injected).all()


def test_a_model_of_the_programs_beats_z_scores():
    """Breaks if residuals are not standardised on training rows, or the floor is not the per-gene z-score."""
    train, test = programs(600, 0), programs(400, 10)
    model, floor = pca_residual(train, 3), whole_value
    found = [search(f, train, test) for f in (model, floor)]
    assert set(found[0].auprc) == {"z3", "z6"}
    assert found[0].auprc["z3"] > 0.9
    assert found[1].auprc["z3"] < 0.4
    assert found[0].auprc["z6"] >= found[0].auprc["z3"]
    assert found[1].auprc["z6"] > 0.95
    assert found[0].n_injected == found[1].n_injected == 24
    assert found[0].prevalence == pytest.approx(1e-3)


def test_noisy_genes_do_not_drown_the_others():
    """Breaks if residuals of all genes are compared on one scale: a gene that is pure noise has ten times as much."""
    train, test = programs(600, 0), programs(400, 10)
    for x, seed in ((train, 1), (test, 2)):
        x[:, :20] = np.random.default_rng(seed).normal(size=(len(x), 20))
    assert search(pca_residual(train, 3), train, test, frequency=5e-3).auprc["z6"] > 0.9


def test_bad_residuals_are_named():
    """Breaks if a model that returns NaN, another shape or nothing gets a number."""
    train, test = programs(50, 0), programs(40, 1)
    with pytest.raises(DataError, match=r"residual_train: 60 variables are needed, found 59"):
        search(lambda x: x[:, 1:], train, test)
    with pytest.raises(DataError, match=r"residual_train: 0 in all rows for 60 variables"):
        search(lambda x: 0 * x, train, test)
    with pytest.raises(DataError, match=r"residual\(x\): row 0, variable 0: value nan"):
        search(lambda x: x if len(x) == 50 else x * np.nan, train, test)
    with pytest.raises(DataError, match=r"residual\(x\): 60 variables are needed, found 59"):
        search(lambda x: x if len(x) == 50 else x[:, 1:], train, test)
    with pytest.raises(DataError, match="rank: must be from 1 to 50, found 51"):
        pca_residual(train, 51)

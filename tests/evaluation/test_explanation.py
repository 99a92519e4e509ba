"""Explanations: a planted program is recovered, rank tests equal scipy's, and nothing is found where nothing is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, mannwhitneyu

from aeflow.errors import DataError
from aeflow.evaluation.challenge.explanation import (
    differential_activity,
    gene_contributions,
    set_enrichment,
)
from aeflow.evaluation.challenge.gene_outliers import pca_residual

NAMES = [f"set{i}" for i in range(20)]


def sets(n_vars=400, size=25):
    rng = np.random.default_rng(5)
    mask = np.zeros((n_vars, len(NAMES)))
    for j in range(len(NAMES)):
        mask[rng.choice(n_vars, size, replace=False), j] = 1
    return mask


def test_planted_program_is_recovered():
    """Breaks if contributions or ranks are of the wrong rows or genes: set 7 is raised in the tumours only."""
    rng, mask = np.random.default_rng(0), sets()
    mix = rng.normal(size=(4, 400))
    normal, held_out, tumour = (rng.normal(size=(n, 4)) @ mix + 0.5 * rng.normal(size=(n, 400)) for n in (200, 30, 30))
    tumour += 1.5 * mask[:, 7]
    residual = pca_residual(normal, 4)
    typical = np.square(residual(normal)).mean(0)
    contributions = [gene_contributions(x, x - residual(x), typical) for x in (held_out, tumour)]
    found = set_enrichment(contributions[1].mean(0), mask, NAMES)
    assert found["set"][0] == "set7"
    assert found["q"][0] < 1e-6
    assert found["auroc"][0] > 0.9
    assert (set_enrichment(contributions[0].mean(0), mask, NAMES)["q"] > 0.05).all()
    first = [[set_enrichment(row, mask, NAMES)["set"][0] for row in rows] for rows in contributions]
    assert np.mean([name == "set7" for name in first[1]]) > 0.9
    assert np.mean([name == "set7" for name in first[0]]) < 0.3


def test_contributions_by_hand():
    """Breaks if shares are not of squared errors, or the typical error multiplies."""
    x, x_hat = np.array([[1.0, 2, 0], [0, 0, 5]]), np.array([[0.0, 0, 0], [0, 0, 1]])
    assert gene_contributions(x, x_hat) == pytest.approx(np.array([[0.2, 0.8, 0], [0, 0, 1]]))
    assert gene_contributions(x, x_hat, [1, 4, 1])[0] == pytest.approx([0.5, 0.5, 0])


@given(st.integers(0, 10**6), st.booleans())
@settings(max_examples=40)
def test_ranks_equal_scipy(seed, ties):
    """Breaks if ties are not corrected for, or z has another sign or variance."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, 30).astype(float) if ties else rng.normal(size=30)
    mask = np.zeros((30, 2))
    mask[:8, 0] = mask[20:25, 1] = 1
    found = set_enrichment(values, mask, ["a", "b"]).set_index("set")
    for j, name in enumerate("ab"):
        inside, outside = values[mask[:, j] == 1], values[mask[:, j] == 0]
        expected = mannwhitneyu(inside, outside, alternative="greater", method="asymptotic", use_continuity=False)
        assert found.loc[name, "p"] == pytest.approx(expected.pvalue)
        assert found.loc[name, "auroc"] == pytest.approx(expected.statistic / (len(inside) * len(outside)))


def test_random_sets_have_standard_scores():
    """Breaks if z of random genes is wider or narrower than N(0, 1)."""
    mask = sets()
    rows = np.random.default_rng(0).exponential(size=(200, 400))
    z = np.concatenate([set_enrichment(row, mask, NAMES)["z"] for row in rows])
    assert z.shape == (200 * 20,)
    assert kstest(z, "norm").statistic < 0.04


def test_differential_activity():
    """Breaks if groups are swapped, q-values are not over sets, or a dead node stops the table."""
    rng = np.random.default_rng(0)
    activity, tumour = rng.normal(size=(80, 20)), np.arange(80) < 30
    activity[tumour, 3] += 2
    activity[tumour, 4] -= 2
    activity[:, 9] = 1.5
    found = differential_activity(activity, tumour, NAMES).set_index("set")
    assert set(found.index[:2]) == {"set3", "set4"}
    assert (found["q"] < 0.01).sum() == 2
    assert found.loc["set3", "auroc"] > 0.8
    assert found.loc["set4", "median_difference"] < -1
    assert found.loc["set9", ["auroc", "p"]].tolist() == [0.5, 1]
    expected = mannwhitneyu(activity[tumour, 3], activity[~tumour, 3]).pvalue
    assert found.loc["set3", "p"] == pytest.approx(expected)


def test_bad_input_is_named():
    """Breaks if a set of no genes or a perfect reconstruction gets a number."""
    x = np.ones((2, 3))
    with pytest.raises(DataError, match="row 0 has no error"):
        gene_contributions(x, x)
    with pytest.raises(DataError, match=r"typical: must be above 0, found 0\.0 for variable 1"):
        gene_contributions(x, 0 * x, [1, 0, 1])
    with pytest.raises(DataError, match="mask: set 'b' has 0 of 3 variables"):
        set_enrichment([1.0, 2, 3], [[1, 0], [0, 0], [0, 0]], ["a", "b"])
    with pytest.raises(DataError, match="set_names: 2 names are needed, found 1"):
        set_enrichment([1.0, 2, 3], [[1, 0], [0, 1], [0, 0]], ["a"])
    with pytest.raises(DataError, match="group: at least 2 classes are needed"):
        differential_activity(x, [1, 1], ["a", "b", "c"])

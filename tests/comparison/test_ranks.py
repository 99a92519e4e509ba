"""Rank summary against scipy's Friedman test and Demšar's table."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import friedmanchisquare

from aeflow.comparison.ranks import critical_difference, friedman, rank_summary
from aeflow.errors import DataError


def table(values, models=("ae", "pca", "vae")):
    """One block per row of values."""
    rows = [
        {"dataset": "d", "view": "normal", "task": f"t{i}", "score": "s", "model": model, "value": value}
        for i, row in enumerate(values)
        for model, value in zip(models, row, strict=True)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_difference_of_demsars_table(k, q):
    """Breaks if the factor sqrt 2 is lost, or alpha is halved (table 5a of Demšar 2006, alpha 0.05)."""
    assert critical_difference(k, 14) == pytest.approx(q * np.sqrt(k * (k + 1) / (6 * 14)), rel=1e-3)


@pytest.mark.parametrize("ties", [False, True])
def test_friedman_equals_scipy(ties):
    """Breaks if ties are not corrected for."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3, (12, 4)).astype(float) if ties else rng.normal(size=(12, 4))
    expected = friedmanchisquare(*values.T)
    found = rank_summary(table(values, "abcd"))
    assert found["friedman_statistic"][0] == pytest.approx(expected.statistic)
    assert found["friedman_p"][0] == pytest.approx(expected.pvalue)


def test_ranks_by_hand():
    """Breaks if 1 is the worst, ties do not share their rank, or a lower value cannot be better."""
    values = [[0.9, 0.8, 0.7], [0.9, 0.9, 0.1], [0.5, 0.6, 0.4]]
    found = rank_summary(table(values)).set_index("model")
    assert found["mean_rank"].to_dict() == pytest.approx({"ae": 4.5 / 3, "pca": 4.5 / 3, "vae": 3})
    assert found["n_best"].to_dict() == {"ae": 2, "pca": 2, "vae": 0}
    assert found.index.tolist() == ["ae", "pca", "vae"]
    errors = rank_summary(table(values), higher_is_better=False)
    assert errors["model"][0] == "vae"
    assert (errors["n_blocks"] == 3).all()


def test_who_is_as_good_as_the_best():
    """Breaks if the critical difference is not counted from the best mean rank."""
    rng = np.random.default_rng(0)
    values = np.c_[rng.normal(size=(30, 2)), rng.normal(-5, 1, size=30)]
    found = rank_summary(table(values)).set_index("model")
    assert found["as_good_as_best"].to_dict() == {"ae": True, "pca": True, "vae": False}
    assert found["friedman_p"].iloc[0] < 1e-6


def test_two_models_and_equal_models():
    """Breaks if two models cannot be compared, or equal ones give NaN."""
    assert friedman(np.array([[1.0, 2]] * 8 + [[2, 1]] * 2))[0] == pytest.approx((8 - 2) ** 2 / 10)
    assert friedman(np.full((4, 3), 2.0)) == (0.0, 1.0)


def test_incomplete_blocks_are_counted():
    """Breaks if a model profits from a task that another one lacks."""
    values = table([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3]])
    found = rank_summary(values.iloc[:-1])
    assert (found["n_blocks"].iloc[0], found["n_blocks_dropped"].iloc[0]) == (1, 1)
    assert found["model"].tolist() == ["ae", "pca", "vae"]


def test_bad_input_is_named():
    """Breaks if repeated or missing values are averaged away."""
    values = table([[0.9, 0.8, 0.7]])
    with pytest.raises(DataError, match=r"more than one value of .*'task': 't0'.*'model': 'ae'"):
        rank_summary(pd.concat([values, values]))
    with pytest.raises(DataError, match="'model': 'pca'} has value nan"):
        rank_summary(values.assign(value=[1, np.nan, 2]))
    with pytest.raises(DataError, match="column 'task' does not exist"):
        rank_summary(values.drop(columns="task"))
    with pytest.raises(DataError, match=r"at least 2 models are needed, found \['ae'\]"):
        rank_summary(values[:1])
    with pytest.raises(DataError, match="none of 2 blocks has all of"):
        rank_summary(pd.concat([values[:1], values[1:].assign(task="t9")]))

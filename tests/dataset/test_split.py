"""Who goes where: no donor in two splits, shares and strata as asked for."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeflow.dataset.split import fitting_rows, split_by_group, split_rows
from aeflow.errors import ConfigError, DataError

FRACTIONS = {"train": 0.6, "val": 0.15, "test": 0.25}


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from("abc")), min_size=30, max_size=200), st.integers(0, 99))
def test_split_properties(rows, seed):
    """Breaks if a donor is divided, a split is far from its share, or the seed does not decide."""
    groups, strata = pd.Series([r[0] for r in rows]), pd.Series([r[1] for r in rows])
    split = split_by_group(groups, strata, FRACTIONS, seed)
    assert pd.Series(split).groupby(groups).nunique().max() == 1
    largest = groups.value_counts().max()
    for name, fraction in FRACTIONS.items():
        assert abs((split == name).sum() - fraction * len(rows)) <= 2 * largest
    assert np.array_equal(split, split_by_group(groups, strata, FRACTIONS, seed))


def test_split_is_stratified():
    """Breaks if a rare stratum can end up in one split alone."""
    strata = pd.Series(["common"] * 180 + ["rare"] * 20)
    for seed in range(20):
        split = split_by_group(pd.Series(range(200)), strata, FRACTIONS, seed)
        assert abs((split[180:] == "test").sum() - 5) <= 1


def test_fractions_must_sum_to_one():
    """Breaks if rows are silently left without a split."""
    with pytest.raises(ConfigError, match="sum to 1"):
        split_by_group(pd.Series([1, 2]), pd.Series(list("aa")), {"train": 0.5, "val": 0.1, "test": 0.1}, 0)


def test_a_split_without_rows_is_refused():
    """Breaks if a cohort of one donor ends in an empty test set, and every metric is NaN."""
    obs = pd.DataFrame({"sample_id": ["a", "b"], "donor_id": ["d", "d"]})
    with pytest.raises(DataError, match="no row is left for 'val' of 2 rows"):
        split_rows(obs, {"by": "donor", "fractions": FRACTIONS, "stratify": []}, 0)


MISSING = ["", " ", "NA", "nan", "Not Reported", None, np.nan]


def donors(n: int = 60) -> pd.DataFrame:
    obs = pd.DataFrame({"sample_id": [f"s{i}" for i in range(n)], "donor_id": [f"d{i}" for i in range(n)]})
    return obs.assign(sex=np.where(np.arange(n) % 3 == 0, "male", "female").astype(object))


def test_a_row_without_donor_is_refused():
    """Breaks if such rows have no split, or are kept together as if they were of one person."""
    for value in MISSING:
        obs = donors().astype({"donor_id": object})
        obs.loc[[7, 9], "donor_id"] = value
        with pytest.raises(DataError, match="2 of 60 rows have no donor_id, first sample 's7'"):
            split_rows(obs, {"by": "donor", "fractions": FRACTIONS, "stratify": []}, 0)


@pytest.mark.parametrize("value", [*MISSING, "validation"])
def test_an_official_split_that_is_neither_is_refused(value):
    """Breaks if rows whose published split is unknown are tested on."""
    obs = donors().assign(official_split=pd.Series(["train"] * 40 + ["test"] * 20, dtype=object))
    obs.loc[3, "official_split"] = value
    with pytest.raises(DataError, match=r"official_split: must be train or test, found .* of sample 's3'"):
        split_rows(obs, {"by": "official", "fractions": FRACTIONS, "stratify": []}, 0)


def test_fitting_rows_are_training_rows_of_the_filter():
    """Breaks if a fitted step can see a tumour or a test row."""
    obs = pd.DataFrame({"condition": ["normal", "tumour", "normal", "normal"]})
    split = np.array(["train", "train", "test", "val"])
    assert fitting_rows(obs, split, {"condition": ["normal"]}).tolist() == [True, False, False, False]
    with pytest.raises(DataError, match="leaves no training row"):
        fitting_rows(obs, np.array(["val", "train", "test", "val"]), {"condition": ["normal"]})


def test_every_kind_of_blank_is_one_stratum(caplog):
    """Breaks if None, "" and "NA" are three strata, which are spread apart, or rows without a label go nowhere."""
    sex = ["male", "female"] * 20 + ["", None, "NA", "Not Reported", np.nan] * 4
    n = len(sex)
    obs = pd.DataFrame({"donor_id": [f"d{i}" for i in range(n)], "sex": pd.Series(sex, dtype=object)})
    options = {"by": "donor", "fractions": {"train": 0.5, "val": 0.25, "test": 0.25}, "stratify": ["sex"]}
    split = split_rows(obs, options, 0)
    assert "split.stratify: 20 of 60 rows have no sex" in caplog.text
    assert np.array_equal(split, split_rows(obs.assign(sex=sex[:40] + [""] * 20), options, 0))
    blank = pd.Series(split[40:]).value_counts()
    assert blank.to_dict() == {"train": 10, "val": 5, "test": 5}

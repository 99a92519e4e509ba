"""Codes of covariates: fitted on training rows, applied to all others."""

import numpy as np
import pandas as pd
import pytest

from aeflow.dataset.covariates import Classes, CovariateCodes, Quantity
from aeflow.errors import DataError
from aeflow.files import read_json, write_json

TRAIN = pd.DataFrame(
    {
        "tissue": ["lung", "liver", "lung", "kidney"],
        "digit": [3, 1, 3, 7],
        "male": [True, False, True, True],
        "age": [20.0, 40.0, 60.0, 80.0],
    }
)


def test_classes_are_one_hot_in_sorted_order():
    """Breaks if the columns' order depends on the order of rows."""
    codes = CovariateCodes.fit(TRAIN, ["tissue"])
    assert codes == CovariateCodes.fit(TRAIN[::-1], ["tissue"])
    assert codes.encode(TRAIN).tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_whole_numbers_and_booleans_are_classes():
    """Breaks if a digit is taken for a quantity, so that 7 would be more than 3."""
    codes = CovariateCodes.fit(TRAIN, ["digit", "male"])
    assert codes.n_covariates == 5
    assert codes.encode(TRAIN)[0].tolist() == [0, 1, 0, 0, 1]


def test_decimals_are_scaled_by_the_training_rows():
    """Breaks if mean and spread of the rows at hand are used: held-out rows would depend on each other."""
    codes = CovariateCodes.fit(TRAIN, ["age"])
    assert codes.columns["age"] == Quantity(50.0, pytest.approx(np.sqrt(500)))
    coded = codes.encode(pd.DataFrame({"age": [50.0, 50.0 + np.sqrt(500)]}))
    assert coded.ravel().tolist() == pytest.approx([0, 1])
    assert codes.n_covariates == 1


def test_a_constant_decimal_is_not_divided_by_zero():
    """Breaks if a covariate without spread makes every input a missing value."""
    obs = pd.DataFrame({"age": [5.0, 5.0]})
    assert CovariateCodes.fit(obs, ["age"]).encode(obs).tolist() == [[0], [0]]


@pytest.mark.parametrize("n", [3, 6, 7, 10])
def test_equal_decimals_have_no_spread_whatever_rounding_says(n):
    """Breaks if the sum of equal values is rounded, and a later row is divided by what that leaves."""
    codes = CovariateCodes.fit(pd.DataFrame({"age": np.full(n, 0.1)}), ["age"])
    assert codes.encode(pd.DataFrame({"age": [0.2]}))[0, 0] == pytest.approx(0.1)


def test_columns_keep_the_order_asked_for():
    """Breaks if the decoder's inputs mean something else at the next call."""
    codes = CovariateCodes.fit(TRAIN, ["age", "tissue"])
    coded = codes.encode(TRAIN)
    assert coded.shape == (4, 4) and coded.dtype == np.float32
    assert np.array_equal(coded[:, 1:], CovariateCodes.fit(TRAIN, ["tissue"]).encode(TRAIN))


def test_an_unseen_class_is_named():
    """Breaks if a class that training never saw becomes a row of zeros."""
    with pytest.raises(DataError, match="tissue 'brain' was not among the training rows"):
        CovariateCodes.fit(TRAIN, ["tissue"]).encode(pd.DataFrame({"tissue": ["lung", "brain"]}))


def test_an_unknown_column_is_named():
    """Breaks if a typo in condition_on is found by pandas, or not at all."""
    with pytest.raises(DataError, match=r"column 'tisue' does not exist; there are tissue, digit"):
        CovariateCodes.fit(TRAIN, ["tisue"])


@pytest.mark.parametrize("value", [None, np.nan])
def test_missing_values_are_refused(value):
    """Breaks if missing is a class of its own, or a missing number reaches the network."""
    with pytest.raises(DataError, match=r"1 of 3 rows have no a \(found '\w+'\)"):
        CovariateCodes.fit(pd.DataFrame({"a": ["x", value, "y"]}), ["a"])


@pytest.mark.parametrize("value", [None, np.nan])
def test_missing_values_of_later_rows_are_refused(value):
    """Breaks if a decimal missing in a test row reaches the network as NaN."""
    codes = CovariateCodes.fit(TRAIN, ["age"])
    with pytest.raises(DataError, match=r"1 of \d+ rows have no age \(found '\w+'\)"):
        codes.encode(pd.DataFrame({"age": [1.0, value]}))


def test_without_columns_there_are_no_covariates():
    """Breaks if unconditional models are given an empty matrix."""
    codes = CovariateCodes.fit(TRAIN, [])
    assert not codes and list(codes) == [] and codes.to_json() == {}
    assert codes.encode(TRAIN) is None
    assert codes.n_covariates is None


def test_columns_of_classes_are_told_apart():
    """Breaks if draws are balanced over the values of a decimal column."""
    codes = CovariateCodes.fit(TRAIN, ["tissue", "age", "digit"])
    assert list(codes) == ["age", "digit", "tissue"]
    assert codes.classes == {"digit": Classes((1, 3, 7)), "tissue": Classes(("kidney", "liver", "lung"))}


def test_codes_stand_in_json_as_they_did():
    """Breaks if model.json of a trained run can no longer be read, or equal codes give another file."""
    codes = CovariateCodes.fit(TRAIN, ["tissue", "digit", "male"])
    assert codes.to_json() == {
        "digit": {"levels": [1, 3, 7]},
        "male": {"levels": [False, True]},
        "tissue": {"levels": ["kidney", "liver", "lung"]},
    }
    quantity = CovariateCodes.fit(TRAIN, ["age"])
    assert quantity.to_json() == {"age": {"mean": 50.0, "sd": float(TRAIN["age"].std(ddof=0))}}


def test_codes_survive_their_file(tmp_path):
    """Breaks if a trained model's codes encode rows differently, or in another order, once loaded."""
    codes = CovariateCodes.fit(TRAIN, ["tissue", "digit", "male", "age"])
    write_json({"covariates": codes.to_json()}, tmp_path / "model.json")
    again = CovariateCodes.from_json(read_json(tmp_path / "model.json")["covariates"])
    assert again == codes and list(again) == list(codes)
    assert np.array_equal(codes.encode(TRAIN), again.encode(TRAIN))


def test_an_entry_of_neither_kind_is_refused():
    """Breaks if a damaged model.json encodes a column as nothing."""
    with pytest.raises(DataError, match=r"'age' has \['mean'\], neither levels nor mean and sd"):
        CovariateCodes.from_json({"age": {"mean": 1.0}})

"""Codes of covariates: fitted on training rows, applied to all others."""

import json

import numpy as np
import pandas as pd
import pytest

from aeflow.dataset.covariates import encode_covariates, fit_codes, n_covariates
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
    codes = fit_codes(TRAIN, ["tissue"])
    assert codes == fit_codes(TRAIN[::-1], ["tissue"])
    assert encode_covariates(TRAIN, codes).tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_whole_numbers_and_booleans_are_classes():
    """Breaks if a digit is taken for a quantity, so that 7 would be more than 3."""
    codes = fit_codes(TRAIN, ["digit", "male"])
    assert n_covariates(codes) == 5
    assert encode_covariates(TRAIN, codes)[0].tolist() == [0, 1, 0, 0, 1]


def test_decimals_are_scaled_by_the_training_rows():
    """Breaks if mean and spread of the rows at hand are used: held-out rows would depend on each other."""
    codes = fit_codes(TRAIN, ["age"])
    assert codes["age"] == {"mean": 50.0, "sd": pytest.approx(np.sqrt(500))}
    coded = encode_covariates(pd.DataFrame({"age": [50.0, 50.0 + np.sqrt(500)]}), codes)
    assert coded.ravel().tolist() == pytest.approx([0, 1])
    assert n_covariates(codes) == 1


def test_a_constant_decimal_is_not_divided_by_zero():
    """Breaks if a covariate without spread makes every input a missing value."""
    obs = pd.DataFrame({"age": [5.0, 5.0]})
    assert encode_covariates(obs, fit_codes(obs, ["age"])).tolist() == [[0], [0]]


def test_columns_keep_the_order_asked_for():
    """Breaks if the decoder's inputs mean something else at the next call."""
    codes = fit_codes(TRAIN, ["age", "tissue"])
    coded = encode_covariates(TRAIN, codes)
    assert coded.shape == (4, 4) and coded.dtype == np.float32
    assert np.array_equal(coded[:, 1:], encode_covariates(TRAIN, fit_codes(TRAIN, ["tissue"])))


def test_an_unseen_class_is_named():
    """Breaks if a class that training never saw becomes a row of zeros."""
    with pytest.raises(DataError, match="tissue 'brain' was not among the training rows"):
        encode_covariates(pd.DataFrame({"tissue": ["lung", "brain"]}), fit_codes(TRAIN, ["tissue"]))


def test_an_unknown_column_is_named():
    """Breaks if a typo in condition_on is found by pandas, or not at all."""
    with pytest.raises(DataError, match=r"column 'tisue' does not exist; there are tissue, digit"):
        fit_codes(TRAIN, ["tisue"])


@pytest.mark.parametrize("value", [None, np.nan])
def test_missing_values_are_refused(value):
    """Breaks if missing is a class of its own, or a missing number reaches the network."""
    with pytest.raises(DataError, match="'a' has 1 missing values"):
        fit_codes(pd.DataFrame({"a": ["x", value, "y"]}), ["a"])


@pytest.mark.parametrize("value", [None, np.nan])
def test_missing_values_of_later_rows_are_refused(value):
    """Breaks if a decimal missing in a test row reaches the network as NaN."""
    codes = fit_codes(TRAIN, ["age"])
    with pytest.raises(DataError, match="'age' has 1 missing values"):
        encode_covariates(pd.DataFrame({"age": [1.0, value]}), codes)


def test_without_columns_there_are_no_covariates():
    """Breaks if unconditional models are given an empty matrix."""
    assert fit_codes(TRAIN, []) == {}
    assert encode_covariates(TRAIN, {}) is None
    assert n_covariates({}) is None


def test_codes_survive_json():
    """Breaks if a trained model's codes, saved as JSON, encode rows differently once loaded."""
    codes = fit_codes(TRAIN, ["tissue", "digit", "male", "age"])
    loaded = json.loads(json.dumps(codes))
    assert np.array_equal(encode_covariates(TRAIN, codes), encode_covariates(TRAIN, loaded))


def test_codes_survive_their_file(tmp_path):
    """Breaks if a model is scored with its covariates in another order than it was trained with."""
    obs = pd.DataFrame(
        {"tissue": ["liver", "lung", "liver"], "study": ["TCGA", "GTEx", "GTEx"], "age": [1.0, 2.0, 6.0]}
    )
    codes = fit_codes(obs, ["tissue", "study", "age"])
    write_json({"covariates": codes}, tmp_path / "model.json")
    again = read_json(tmp_path / "model.json")["covariates"]
    assert np.array_equal(encode_covariates(obs, codes), encode_covariates(obs, again))

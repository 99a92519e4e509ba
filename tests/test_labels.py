"""One notion of a missing label."""

import numpy as np
import pandas as pd
import pytest

from aeflow.labels import NO_LABEL, has_label, shown_labels


@pytest.mark.parametrize(
    "value", ["", "  ", "NA", "n/a", "nan", "NaN", "Not Reported", "'--", "--", "unknown", None, np.nan, pd.NA]
)
def test_a_word_for_nothing_is_no_label(value):
    assert has_label([value, "male"]).tolist() == [False, True]


@pytest.mark.parametrize("value", ["none", "normal", "0", 0, False, "Nairobi"])
def test_a_class_is_a_label_even_if_it_is_false(value):
    assert has_label([value]).tolist() == [True]


@pytest.mark.parametrize(
    "values",
    [pd.Series([1.0, np.nan], index=[7, 3]), pd.Series([1, None], dtype="Int64"), pd.Categorical(["a", None])],
)
def test_columns_of_every_type_can_be_asked(values):
    assert has_label(values).tolist() == [True, False]


def test_no_rows_have_no_labels():
    assert has_label([]).tolist() == []


@pytest.mark.parametrize("dtype", ["object", "str"])
def test_figures_show_one_word_for_every_blank(dtype):
    """Breaks if a blank stays a NaN beside texts, which cannot be sorted, or two blanks are two groups."""
    values = pd.Series(["liver", None, "", "NA", "lung"], index=[3, 4, 5, 6, 7]).astype(dtype)
    assert shown_labels(values).tolist() == ["liver", NO_LABEL, NO_LABEL, NO_LABEL, "lung"]
    assert shown_labels(pd.Series([1.0, np.nan])).tolist() == ["1.0", NO_LABEL]

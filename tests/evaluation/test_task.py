"""Tasks: which rows are normal, anomalous, control and calibration."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeflow.errors import DataError
from aeflow.evaluation.task import OUTSIDE_VIEW, Task, labelled

NORMAL = {"condition": ["normal"]}
ENTRY = {
    "datasets": ["x"],
    "views": ["normal"],
    "anomaly": {"condition": ["tumour"]},
    "control": {
        "negative": {"study": ["GTEx"], "condition": ["normal"]},
        "positive": {"study": ["TCGA"], "condition": ["normal"]},
    },
}


def sheet(rows) -> pd.DataFrame:
    """Return annotations of rows "study condition split"."""
    return pd.DataFrame([row.split() for row in rows], columns=["study", "condition", "split"])


OBS = sheet(
    [
        "GTEx normal train",
        "GTEx normal val",
        "GTEx normal test",
        "TCGA normal test",
        "TCGA tumour test",
        "TCGA tumour val",
        "TCGA normal val",
    ]
)


def test_masks_by_hand():
    """Breaks if rows of another split, or of the other group, are counted."""
    task = Task.of_entry("tumour", ENTRY, NORMAL)
    rows = task.masks(OBS, "test")
    assert np.flatnonzero(rows.normal).tolist() == [2, 3]
    assert np.flatnonzero(rows.anomaly).tolist() == [4]
    assert np.flatnonzero(rows.either).tolist() == [2, 3, 4] and rows.label.tolist() == [False, False, True]
    assert np.flatnonzero(task.masks(OBS, "val").normal).tolist() == [1, 6]
    control = task.control_rows(OBS, "test")
    assert np.flatnonzero(control.negative).tolist() == [2] and np.flatnonzero(control.positive).tolist() == [3]
    assert np.flatnonzero(task.calibration(OBS)).tolist() == [1, 6]


def test_what_an_entry_leaves_out():
    """Breaks if normals are not the view's where nothing else is said, or a control is made up."""
    task = Task.of_entry("tumour", {"anomaly": {"condition": ["tumour"]}}, {"study": ["GTEx"], **NORMAL})
    assert np.flatnonzero(task.masks(OBS, "test").normal).tolist() == [2]
    assert task.control is None and task.control_rows(OBS, "test") is None and not task.choose_score
    named = Task.of_entry("tumour", {"anomaly": {"condition": ["tumour"]}, "normal": NORMAL}, {"study": ["GTEx"]})
    assert np.flatnonzero(named.masks(OBS, "test").normal).tolist() == [2, 3]
    assert np.flatnonzero(named.calibration(OBS)).tolist() == [1]  # of the view: others were never in training


def test_outside_the_view():
    """Breaks if a row of the view is an anomaly where all others are."""
    task = Task.of_entry("other", {"anomaly": OUTSIDE_VIEW, "choose_score": True}, {"study": ["GTEx"]})
    rows = task.masks(OBS, "test")
    assert task.choose_score
    assert np.flatnonzero(rows.normal).tolist() == [2] and np.flatnonzero(rows.anomaly).tolist() == [3, 4]


def test_empty_and_mixed_groups_are_named():
    """Breaks if a metric over nothing, or of rows that are both normal and anomalous, can be computed."""
    task = Task.of_entry("tumour", ENTRY, NORMAL)
    with pytest.raises(DataError, match="task tumour: no test row is anomaly; the test split has 2 rows"):
        task.masks(OBS[:4], "test")
    with pytest.raises(DataError, match="task tumour: no test row is normal"):
        task.masks(OBS[4:], "test")
    with pytest.raises(DataError, match="task tumour: no test row is control_positive"):
        task.control_rows(OBS.drop(index=3), "test")
    with pytest.raises(DataError, match="no validation row of the view is normal, so there is no threshold"):
        task.calibration(OBS[OBS["split"] != "val"])
    no_control = Task.of_entry("tumour", {"anomaly": {"condition": ["tumour"]}}, NORMAL)
    assert not no_control.calibration(OBS[OBS["split"] != "val"]).any()
    both = Task.of_entry("both", {"anomaly": {"study": ["TCGA"]}}, NORMAL)
    with pytest.raises(DataError, match="task both: 1 test rows are normal and anomaly"):
        both.masks(OBS, "test")


@pytest.mark.parametrize("key", ["anomaly", "normal", "control.negative"])
def test_unknown_columns_are_named_with_their_key(key):
    """Breaks if a misspelt column makes an empty group without saying where it stands."""
    filters = {"anomaly": {"condition": ["tumour"]}, "normal": NORMAL}
    if key == "control.negative":
        filters["control"] = {"negative": {"colour": ["red"]}, "positive": NORMAL}
    else:
        filters[key] = {"colour": ["red"]}
    task = Task.of_entry("tumour", filters, NORMAL)
    with pytest.raises(DataError, match=rf"task tumour, {key}: column 'colour' does not exist"):
        task.masks(OBS, "test")
        task.control_rows(OBS, "test")


row = st.tuples(
    st.sampled_from(["GTEx", "TCGA"]), st.sampled_from(["normal", "tumour"]), st.sampled_from(["train", "val", "test"])
)


@given(st.lists(row, max_size=30), st.sampled_from(["val", "test"]), st.booleans(), st.data())
@settings(max_examples=60)
def test_groups_of_any_sheet(rows, split, outside, data):
    """Breaks for any sheet if groups share rows, leave their split, or depend on the order of the rows."""
    needed = [
        ("GTEx", "normal", split),
        ("TCGA", "normal", split),
        ("TCGA", "tumour", split),
        ("GTEx", "normal", "val"),
    ]
    obs = pd.DataFrame(rows + needed, columns=["study", "condition", "split"])
    task = Task.of_entry("t", ENTRY | ({"anomaly": OUTSIDE_VIEW} if outside else {}), NORMAL)
    found = task.masks(obs, split)
    control = task.control_rows(obs, split)
    calibration = task.calibration(obs)
    of_split = (obs["split"] == split).to_numpy()
    assert not (found.normal & found.anomaly).any() and not (found.either & ~of_split).any()
    assert (found.either == of_split).all()  # every row is normal or a tumour
    assert found.label.sum() == found.anomaly.sum() and len(found.label) == found.either.sum()
    assert ((control.negative | control.positive) == found.normal).all()
    assert not (control.negative & control.positive).any()
    assert not (calibration & (obs["split"] != "val").to_numpy()).any()
    assert not (calibration & (obs["condition"] == "tumour").to_numpy()).any()
    order = np.array(data.draw(st.permutations(range(len(obs)))))
    again = task.masks(obs.iloc[order], split)
    assert (again.normal == found.normal[order]).all() and (again.anomaly == found.anomaly[order]).all()


def test_labelled_keeps_rows_of_either_mask():
    """Breaks if values and labels are of different rows, or a row counts twice."""
    label, values = labelled(np.arange(5.0), np.array([1, 0, 0, 0, 1], bool), np.array([0, 0, 1, 0, 0], bool))
    assert label.tolist() == [0, 1, 0] and values.tolist() == [0, 2, 4]
    with pytest.raises(DataError, match="1 rows are of both groups"):
        labelled(np.arange(2.0), np.array([True, True]), np.array([False, True]))

"""A dataset opened from its folder: its facts, its splits, and views of them."""

import numpy as np
import pandas as pd
import pytest

from aeflow.dataset import FILES, SPLITS, dataset_files
from aeflow.dataset.dataset import Dataset, data_hash
from aeflow.errors import DataError
from aeflow.files import write_frame, write_json
from aeflow.table import Table
from aeflow.views import rows_of

N_VARS = 3


@pytest.fixture
def folder(tmp_path):
    """A dataset of 12 rows, 6 of training; centre and scale differ by variable."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame({"sample_id": [f"s{i}" for i in range(12)], "split": ["train", "val", "train", "test"] * 3})
    obs["tissue"] = ["lung", "kidney", "liver"] * 4
    var = pd.DataFrame({"var_id": [f"g{j}" for j in range(N_VARS)]})
    var = var.assign(centre=[1.0, -2.0, 0.5], scale=[2.0, 1.0, 0.25])
    table = Table(rng.normal(size=(12, N_VARS)).astype(np.float32), obs, var, "standardised")
    for split in SPLITS:
        table.select(rows=(obs["split"] == split).to_numpy()).write(tmp_path / FILES[f"X_{split}"])
    write_frame(obs, tmp_path / FILES["obs"])
    write_frame(var, tmp_path / FILES["var"])
    facts = {"dataset": "small", "origin": "simulated", "unit": table.unit, "unit_before_scale": "log2_tpm1"}
    n_obs = obs["split"].value_counts().to_dict()
    write_json({**facts, "data_hash": data_hash(table), "n_obs": n_obs, "n_vars": N_VARS}, tmp_path / FILES["dataset"])
    return tmp_path


def test_facts_are_those_of_the_file(folder):
    """Breaks if a fact ends under the name of another one."""
    dataset = Dataset.open(folder)
    assert (dataset.name, dataset.origin) == ("small", "simulated")
    assert (dataset.unit, dataset.unit_before_scale) == ("standardised", "log2_tpm1")
    assert (dataset.n_obs, dataset.n_vars) == ({"train": 6, "val": 3, "test": 3}, N_VARS)
    assert len(dataset.data_hash) == 64 and len(dataset.obs) == 12 and len(dataset.var) == N_VARS


@pytest.mark.parametrize("view", [{}, {"tissue": ["lung"]}])
@pytest.mark.parametrize("split", SPLITS)
def test_rows_are_those_of_the_view(folder, split, view):
    """Breaks if a split or view gives other rows, or in another order, than its file has."""
    paths = dataset_files(str(folder))
    whole = Table.read(paths[f"X_{split}"], paths["obs"], paths["var"])
    expected = whole.select(rows=rows_of(whole.obs, view, "view"))
    found = Dataset.open(folder).rows(split, view)
    assert np.array_equal(found.X, expected.X) and found.unit == expected.unit
    pd.testing.assert_frame_equal(found.obs, expected.obs)
    pd.testing.assert_frame_equal(found.var, expected.var)
    assert set(found.obs["split"]) == {split}
    assert not view or set(found.obs["tissue"]) == {"lung"}


def test_a_file_is_read_once(folder):
    """Breaks if every call reads the values again: a job asks for the same split up to ten times."""
    dataset = Dataset.open(folder)
    first = dataset.rows("train")
    (folder / FILES["X_train"]).unlink()
    assert dataset.rows("train").X is first.X
    assert dataset.rows("train", {"tissue": ["lung"]}).n_obs == 2


def test_a_view_leaves_the_split_whole(folder):
    """Breaks if a view of a split shortens what later calls see."""
    dataset = Dataset.open(folder)
    dataset.rows("train", {"tissue": ["lung"]})
    assert dataset.rows("train").n_obs == 6


def test_a_view_without_rows_is_refused(folder):
    """Breaks if a misspelt value gives an empty table."""
    with pytest.raises(DataError, match=r"cells on .*X_val.parquet: .*'lugn'.* leaves no rows of 3"):
        Dataset.open(folder).rows("val", {"tissue": ["lugn"]}, "cells")


def test_an_unknown_split_is_named(folder):
    """Breaks if a misspelt split is looked for on disk."""
    with pytest.raises(DataError, match="split 'valid' does not exist; there are train, val, test"):
        Dataset.open(folder).rows("valid")


def test_scaling_is_undone_and_redone(folder):
    """Breaks if centre and scale are swapped, or one of them is left out."""
    dataset = Dataset.open(folder)
    X = dataset.rows("test").X
    plain = dataset.unscaled(X)
    assert plain.dtype == np.float32
    assert np.allclose(plain, X * [2.0, 1.0, 0.25] + [1.0, -2.0, 0.5])
    assert np.allclose(dataset.scaled(plain), X, atol=1e-6) and dataset.scaled(plain).dtype == np.float32


def test_a_folder_without_dataset_is_named(tmp_path):
    """Breaks if a wrong folder is reported as a missing key or a traceback of Parquet."""
    with pytest.raises(DataError, match=r"no dataset, there is no dataset.json"):
        Dataset.open(tmp_path)


def test_a_fact_that_is_missing_is_named(folder):
    """Breaks if a file of an older version is opened with facts missing."""
    write_json({"dataset": "small"}, folder / FILES["dataset"])
    with pytest.raises(DataError, match="key 'origin' is missing"):
        Dataset.open(folder)


def test_files_of_rules_are_files_of_the_dataset(folder):
    """Breaks if a rule waits for a file under another name than the dataset opens."""
    assert dataset_files("results/datasets/{dataset}", "X_val") == {"X_val": "results/datasets/{dataset}/X_val.parquet"}
    wanted = dataset_files(str(folder), "X_train", "X_val", "X_test", "obs", "var", "dataset").values()
    assert sorted(wanted) == sorted(str(p) for p in folder.iterdir())
    with pytest.raises(KeyError):
        dataset_files("folder", "X_valid")

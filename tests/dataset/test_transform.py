"""The transform is saved with the dataset and gives any raw rows what preprocessing gave the cohort's own."""

import numpy as np
import pandas as pd
import pytest
from dataset.test_preprocess import NORMAL, OPTIONS, cohort
from hypothesis import given, settings
from hypothesis import strategies as st

from aeflow.dataset.dataset import Dataset, data_hash
from aeflow.dataset.split import split_rows
from aeflow.dataset.transform import Transform
from aeflow.errors import DataError
from aeflow.files import write_frame, write_json
from aeflow.table import Table

PLAIN = {"normalise": "none", "log2p1": False, "n_top_vars": None, "scale": "none"}
COMBAT = {"method": "combat", "options": {}}


def with_tissue(table: Table) -> Table:
    tissue = np.where(np.arange(table.n_obs) % 3 == 0, "liver", "lung")
    return Table(table.X, table.obs.assign(tissue=tissue), table.var, table.unit)


def fitted(options: dict, table: Table | None = None, seed: int = 0) -> tuple[Transform, Table, Table]:
    table = table or with_tissue(cohort())
    split = split_rows(table.obs, options["split"], seed)
    transform, rows = Transform.fit_apply(table, split, options, NORMAL, seed)
    return transform, rows, table


VARIANTS = {
    "default": {},
    "nothing": PLAIN,
    "cpm": {"normalise": "cpm", "scale": "none"},
    "counts": PLAIN | {"round": True},
    "all variables": {"n_top_vars": None},
    "corrected": {"correct": COMBAT},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_saved_transform_gives_the_same_rows(name, tmp_path):
    """Breaks if a step is not saved, is saved with fewer digits, or is applied in another order than it was fitted."""
    transform, rows, table = fitted(OPTIONS | VARIANTS[name])
    transform.save(tmp_path)
    again = Transform.load(tmp_path).apply(table)
    assert np.array_equal(again.X, rows.X) and again.unit == rows.unit
    assert again.var.equals(rows.var)


@settings(max_examples=25)
@given(st.data())
def test_a_row_does_not_depend_on_its_neighbours(data):
    """Breaks if a row's result depends on which other rows are in the table, or on the order of variables."""
    transform, rows, table = fitted(OPTIONS | {"correct": COMBAT})
    some = data.draw(st.lists(st.integers(0, table.n_obs - 1), min_size=1, max_size=5, unique=True))
    order = np.array(data.draw(st.permutations(range(table.n_vars))))
    alone = transform.apply(table.select(rows=np.array(some), columns=order))
    assert np.array_equal(alone.X, rows.X[some])


def test_static_binarisation_is_the_same_for_a_row_in_any_table():
    """Breaks if the draw of a row follows its position, so that a new table gives it other pixels."""
    obs = pd.DataFrame({"sample_id": [f"s{i}" for i in range(90)], "donor_id": [f"d{i}" for i in range(90)]})
    obs["condition"] = "normal"
    grey = Table(np.full((90, 30), 0.4, np.float32), obs, pd.DataFrame({"var_id": range(30)}).astype(str), "intensity")
    split = {"by": "donor", "fractions": OPTIONS["split"]["fractions"], "stratify": []}
    transform, rows, _ = fitted(OPTIONS | PLAIN | {"split": split, "binarise": True}, grey)
    some = np.array([70, 3, 41])
    assert np.array_equal(transform.apply(grey.select(rows=some)).X, rows.X[some])
    assert len(np.unique(rows.X, axis=0)) > 80  # rows are not drawn alike


def test_missing_variables_are_named_or_filled():
    """Breaks if a missing gene is passed over in silence, or a filled one changes another."""
    transform, rows, table = fitted(OPTIONS | {"normalise": "none"})
    lacking = table.select(columns=np.arange(table.n_vars) != 3)
    with pytest.raises(DataError, match="1 of 40 variables are missing: 'g3'"):
        transform.apply(lacking)
    filled = transform.apply(lacking, fill=0.0)
    same = np.array([name != "g3" for name in transform.var_id])
    assert np.array_equal(filled.X[:, same], rows.X[:, same])
    assert not (~same).any() or np.isfinite(filled.X).all()


def test_surplus_variables_are_left_out():
    """Breaks if genes that the cohort never had count towards a sample's size."""
    transform, rows, table = fitted(OPTIONS)
    extra = pd.concat([table.var, pd.DataFrame({"var_id": ["new"]})], ignore_index=True)
    X = np.concatenate([table.X, np.full((table.n_obs, 1), 1e6, np.float32)], axis=1)
    assert np.array_equal(transform.apply(Table(X, table.obs, extra, table.unit)).X, rows.X)


def test_other_units_and_unknown_studies_are_refused():
    """Breaks if TPM are taken for counts, or a study that the correction has never seen passes uncorrected."""
    transform, _, table = fitted(OPTIONS | {"correct": COMBAT})
    with pytest.raises(DataError, match="fitted on unit 'counts', given 'tpm'"):
        transform.apply(Table(table.X, table.obs, table.var, "tpm"))
    elsewhere = Table(table.X, table.obs.assign(study="elsewhere"), table.var, table.unit)
    with pytest.raises(DataError, match="'elsewhere' was not seen"):
        transform.apply(elsewhere)
    with pytest.raises(DataError, match="needs a column 'study'"):
        transform.apply(Table(table.X, table.obs.drop(columns="study"), table.var, table.unit))


@pytest.fixture
def folder(tmp_path):
    """A dataset as rule preprocess writes it."""
    transform, rows, _ = fitted(OPTIONS)
    split = split_rows(rows.obs, OPTIONS["split"], 0)
    table = Table(rows.X, rows.obs.assign(split=split), rows.var, rows.unit)
    for name in ("train", "val", "test"):
        table.select(rows=split == name).write(tmp_path / f"X_{name}.parquet")
    write_frame(table.obs, tmp_path / "obs.parquet")
    write_frame(table.var, tmp_path / "var.parquet")
    transform.save(tmp_path)
    facts = {"dataset": "x", "origin": "simulated", "data_hash": data_hash(table), "unit": table.unit}
    facts |= {"unit_before_scale": transform.unit_before_scale, "n_vars": table.n_vars, "n_obs": {}}
    write_json(facts, tmp_path / "dataset.json")
    return tmp_path


def test_dataset_reads_each_table_once(folder):
    """Breaks if a job reads the same file again for every evaluation, or a view leaks into the next one."""
    dataset = Dataset.open(folder)
    everything = dataset.rows("test")
    (folder / "X_test.parquet").unlink()
    assert dataset.rows("test") is everything
    normal = dataset.rows("test", NORMAL)
    assert set(normal.obs["condition"]) == {"normal"} and normal.n_obs < everything.n_obs
    assert dataset.rows("test").n_obs == everything.n_obs
    with pytest.raises(DataError, match="leaves no rows"):
        dataset.rows("test", {"condition": ["nothing"]})


def test_dataset_undoes_its_scale(folder):
    """Breaks if draws and reconstructions are reported in another unit than the figure says."""
    dataset = Dataset.open(folder)
    raw = dataset.transform.apply(with_tissue(cohort()))
    logged = dataset.unscaled(raw.X)
    unscaled, _, _ = fitted(OPTIONS | {"scale": "none"})
    assert np.allclose(logged, unscaled.apply(with_tissue(cohort())).X, atol=1e-4)


def test_what_is_no_dataset_is_named(tmp_path):
    """Breaks if a wrong folder ends in a bare FileNotFoundError or KeyError."""
    with pytest.raises(DataError, match=r"no file dataset\.json"):
        Dataset.open(tmp_path)
    write_json({"dataset": "x"}, tmp_path / "dataset.json")
    with pytest.raises(DataError, match="no key 'origin'"):
        Dataset.open(tmp_path)
    write_json({"seed": 0}, tmp_path / "transform.json")
    with pytest.raises(DataError, match=r"transform\.json: is no saved transform"):
        Transform.load(tmp_path)

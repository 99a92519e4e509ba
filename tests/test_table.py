"""Tables: what is written is what is read, and what is wrong is refused by name."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aeflow.errors import DataError
from aeflow.table import Table


def table(X, unit="tpm", sample_ids=None) -> Table:
    X = np.asarray(X, dtype=np.float32)
    ids = sample_ids or [f"s{i}" for i in range(len(X))]
    var = pd.DataFrame({"var_id": [f"g{j}" for j in range(X.shape[1])]})
    return Table(X, pd.DataFrame({"sample_id": ids}), var, unit)


finite = st.floats(0, 2.0**99, width=32)


@settings(max_examples=25)
@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=finite))
def test_round_trip(tmp_path_factory, X):
    """Breaks if a value, an id, the order or the unit changes on disk."""
    folder = tmp_path_factory.mktemp("t")
    paths = folder / "X.parquet", folder / "obs.parquet", folder / "var.parquet"
    table(X).write(*paths)
    again = Table.read(*paths)
    assert np.array_equal(again.X, X)
    assert again.unit == "tpm"
    assert again.obs["sample_id"].tolist() == [f"s{i}" for i in range(len(X))]


def test_pandas_sees_what_a_person_expects(tmp_path):
    """Breaks if the format needs aeflow to be read."""
    table([[1, 2], [3, 4]]).write(tmp_path / "X.parquet")
    frame = pd.read_parquet(tmp_path / "X.parquet")
    assert frame.columns.tolist() == ["sample_id", "g0", "g1"]
    assert frame.loc[1, "g0"] == 3


def test_streams_in_row_groups(tmp_path):
    """Breaks if a long table is one row group, which cannot be read in parts."""
    table(np.zeros((9000, 5000))).write(tmp_path / "X.parquet")
    meta = pq.ParquetFile(tmp_path / "X.parquet").metadata
    assert max(meta.row_group(i).num_rows for i in range(meta.num_row_groups)) <= 4096
    table(np.zeros((9000, 784))).write(tmp_path / "narrow.parquet")  # small groups cost as much again to read
    assert pq.ParquetFile(tmp_path / "narrow.parquet").metadata.num_row_groups == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.X.__setitem__((1, 0), np.nan), r"sample 's1', variable 'g0': value nan is not finite"),
        (lambda t: t.X.__setitem__((0, 1), np.inf), r"sample 's0', variable 'g1': value inf is not finite"),
        (lambda t: t.X.__setitem__((1, 1), -0.5), r"variable 'g1': value -0.5 is negative, which unit 'tpm' forbids"),
        (lambda t: t.obs.__setitem__("sample_id", ["a", "a"]), r"obs sample_id 'a' occurs more than once"),
        (lambda t: t.var.__setitem__("var_id", ["g", "g"]), r"var var_id 'g' occurs more than once"),
        (lambda t: setattr(t, "unit", "rpkm"), r"unknown unit 'rpkm'; known: counts"),
        (lambda t: setattr(t, "obs", t.obs[:1]), r"obs has 1 rows, X has 2"),
        (lambda t: setattr(t, "X", t.X.astype(float)), r"must be a float32 matrix, found float64"),
    ],
)
def test_bad_tables_are_refused_and_leave_no_file(tmp_path, change, message):
    """Breaks if a violation passes the write, or its message does not say where it is."""
    bad = table([[1, 2], [3, 4]])
    change(bad)
    with pytest.raises(DataError, match=message):
        bad.write(tmp_path / "X.parquet")
    assert list(tmp_path.iterdir()) == []


def test_standardised_values_may_be_negative(tmp_path):
    """Breaks if the sign check is not tied to the unit."""
    table([[-1, 2]], unit="standardised").write(tmp_path / "X.parquet")


def test_a_failed_write_keeps_the_old_file(tmp_path):
    """Breaks if what was there is lost before the new file is whole."""
    path = tmp_path / "X.parquet"
    table([[1]]).write(path)
    before = path.read_bytes()
    with pytest.raises(DataError):
        table([[np.nan]]).write(path)
    assert path.read_bytes() == before


def test_annotations_that_do_not_fit_are_refused(tmp_path):
    """Breaks if a sample without annotation, or a variable list in another order, is read silently."""
    paths = tmp_path / "X.parquet", tmp_path / "obs.parquet", tmp_path / "var.parquet"
    table([[1, 2], [3, 4]]).write(*paths)
    pd.DataFrame({"sample_id": ["s0"]}).to_parquet(paths[1])
    with pytest.raises(DataError, match="sample 's1' is not in"):
        Table.read(*paths)
    table([[1, 2], [3, 4]]).write(*paths)
    pd.DataFrame({"var_id": ["g1", "g0"]}).to_parquet(paths[2])
    with pytest.raises(DataError, match="columns are not the variables"):
        Table.read(*paths)

"""Stacking matrices of different genes and samples (about 1 s)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aeflow.errors import DataError
from aeflow.expression import stack, wide
from aeflow.expression.ids import GeneNames
from aeflow.expression.units import Measure


def matrix(folder: Path, name: str, genes: list[str], samples: dict[str, list[float]]) -> wide.Matrix:
    columns = {"gene": pa.array(genes)} | {s: pa.array(v, pa.float32()) for s, v in samples.items()}
    pq.write_table(pa.table(columns), folder / f"{name}.parquet", row_group_size=2)
    return wide.Matrix(folder / f"{name}.parquet", ("gene",), f"{name}.txt")


def as_they_are(cells, _):
    return np.array(cells, dtype=object)


@pytest.fixture
def matrices(tmp_path):
    """Two matrices of the same genes and one of others; gene D is only in the first two, E in the last."""
    return {
        "a": matrix(tmp_path, "a", ["B", "A", "D"], {"a1": [1, 200, 3], "a2": [4, 500, 6], "a3": [7, 800, 9]}),
        "b": matrix(tmp_path, "b", ["B", "A", "D"], {"b1": [10, 1100, 12]}),
        "c": matrix(tmp_path, "c", ["A", "E", "B"], {"c1": [1300, 14, 15], "c2": [1600, 17, 18]}),
    }


def names(symbols: list[str], groups: list[int]) -> GeneNames:
    return GeneNames(pd.DataFrame({"symbol": sorted(set(symbols))}), pd.Series(groups, index=symbols), [], {})


def test_common_genes(matrices):
    """Breaks if a gene that one matrix lacks stays, or the log does not say how many lack it and which first."""
    genes = stack.read_genes(matrices, "gene", as_they_are)
    assert genes["a"] is genes["b"] and genes["c"] is not genes["a"]
    common, dropped, report = stack.common_genes(matrices, genes)
    assert common.tolist() == ["A", "B"] and report == {"intersection": 2, "union": 4}
    assert dropped == [
        ("var", "D", "not in every matrix", 1.0, "c.txt"),
        ("var", "E", "not in every matrix", 2.0, "a.txt"),
    ]
    with pytest.raises(DataError, match=r"no gene is in all 3 matrices \(a.txt: B, A, D; x.txt: Z\)"):
        stack.common_genes(matrices | {"c": matrix(matrices["a"].path.parent, "x", ["Z"], {})}, genes | {"c": ["Z"]})


@pytest.mark.parametrize("every_sample", [False, True])
def test_stack(matrices, every_sample, monkeypatch):
    """Breaks if a value goes to another sample or gene, or a sample that is left out reaches the table."""
    monkeypatch.setattr(wide, "COLUMNS", 2)
    genes = stack.read_genes(matrices, "gene", as_they_are)
    obs = pd.DataFrame({"sample_id": ["a3", "a1", "b1", "c2"], "matrix": ["a", "a", "b", "c"]})
    obs["column"] = obs["sample_id"]
    X, seen = stack.stack(matrices, genes, obs, names(["A", "B"], [0, 1]), Measure("counts"), every_sample=every_sample)
    assert X.tolist() == [[800, 7], [200, 1], [1100, 10], [1600, 18]] and X.flags.f_contiguous
    assert {key: found.high.tolist() for key, found in seen.items()} == {
        "a": [800, 200, 500] if every_sample else [800, 200],
        "b": [1100],
        "c": [1600, 1300] if every_sample else [1600],
    }
    assert seen["c"].n_values == (6 if every_sample else 3)
    with pytest.raises(ValueError, match="ordered by matrix"):
        stack.stack(matrices, genes, obs.iloc[[0, 2, 1, 3]], names(["A", "B"], [0, 1]), Measure("counts"))


def test_a_sample_left_out_is_held_against_the_unit_where_asked(tmp_path):
    """Breaks if logarithms in a column that nobody takes go unseen in files that are one unit by their layout."""
    one = {"a": matrix(tmp_path, "a", ["A", "B"], {"a1": [1, 200], "a2": [4, 5]})}
    genes = stack.read_genes(one, "gene", as_they_are)
    obs = pd.DataFrame({"sample_id": ["a1"], "matrix": ["a"], "column": ["a1"]})
    found = names(["A", "B"], [0, 1])
    assert stack.stack(one, genes, obs, found, Measure("counts"))[0].tolist() == [[1, 200]]
    with pytest.raises(DataError, match=r"a\.txt \(.*\): declared as counts, .*'a2' .* \(1 of 2 samples"):
        stack.stack(one, genes, obs, found, Measure("counts"), every_sample=True)


def test_rows_of_one_variable_are_summed(matrices):
    """Breaks if a second row of a variable replaces the first, in its row group or in another."""
    genes = stack.read_genes(matrices, "gene", as_they_are)
    obs = pd.DataFrame({"sample_id": ["a1", "b1"], "matrix": ["a", "b"], "column": ["a1", "b1"]})
    both = GeneNames(pd.DataFrame({"symbol": ["S", "T"]}), pd.Series([1, 1, 1], index=["A", "B", "D"]), [], {})
    X, _ = stack.stack(matrices, genes, obs, both, Measure("counts"))
    assert X.tolist() == [[0, 204], [0, 1122]]

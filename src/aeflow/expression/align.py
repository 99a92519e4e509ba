"""Bring matrices with different genes in different orders to one table: join by name, keep what all have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from aeflow.errors import DataError

GENE_COLUMNS = ("symbol", "entrez_id")


@dataclass(frozen=True)
class Matrix:
    """The axes of one converted matrix: genes in rows, samples in columns; `source_file` is what it was made of."""

    name: str
    path: Path
    source_file: str
    symbols: np.ndarray
    entrez: np.ndarray
    samples: tuple[str, ...]


def read_axes(name: str, path: Path, source_file: str) -> Matrix:
    """Return the axes of a Parquet matrix, without its values; DataError if it is not one."""
    columns = pq.read_schema(path).names
    if tuple(columns[:2]) != GENE_COLUMNS:
        raise DataError(f"{path}: the first columns must be {GENE_COLUMNS}, found {tuple(columns[:2])}")
    genes = pq.read_table(path, columns=list(GENE_COLUMNS))
    symbols = np.array(genes.column("symbol").to_pylist(), dtype=object)
    return Matrix(name, Path(path), source_file, symbols, genes.column("entrez_id").to_numpy(), tuple(columns[2:]))


def common_genes(matrices: Sequence[Matrix]) -> tuple[np.ndarray, np.ndarray, list[tuple], int]:
    """Return the genes that every matrix has, sorted by symbol.

    Filling a missing gene with zeros would mark its tissue perfectly, so genes are intersected.

    Returns
    -------
    symbols : (n_vars,) object.
    entrez : (n_vars,) int64; 0 where no matrix has an Entrez id.
    dropped : ("var", symbol, reason, number of matrices without it, file of the first of these).
    n_union : number of genes in any matrix.

    Raises
    ------
    DataError : if no gene is common, or two matrices give a symbol different Entrez ids.
    """
    counts = Counter(symbol for matrix in matrices for symbol in matrix.symbols)
    n = len(matrices)
    common = np.array(sorted(symbol for symbol, count in counts.items() if count == n), dtype=object)
    if not len(common):
        examples = "; ".join(f"{m.name}: {', '.join(m.symbols[:3])}" for m in matrices[:2])
        raise DataError(f"no gene is in all {n} matrices ({examples})")
    sets = [set(matrix.symbols) for matrix in matrices]
    dropped = []
    for symbol in sorted(symbol for symbol, count in counts.items() if count < n):
        lacking = next(m.source_file for m, genes in zip(matrices, sets, strict=True) if symbol not in genes)
        dropped.append(("var", symbol, "not in every matrix", float(n - counts[symbol]), lacking))
    return common, _common_entrez(matrices, common), dropped, len(counts)


def _common_entrez(matrices: Sequence[Matrix], common: np.ndarray) -> np.ndarray:
    entrez, origin = np.zeros(len(common), dtype=np.int64), matrices[0].name
    for matrix in matrices:
        found = matrix.entrez[positions(matrix, common)]
        clash = (found != entrez) & (found != 0) & (entrez != 0)
        if clash.any():
            i = int(np.argmax(clash))
            raise DataError(
                f"{matrix.name}: gene {common[i]!r} has Entrez id {found[i]}, in {origin} it is {entrez[i]}"
            )
        entrez = np.where(entrez == 0, found, entrez)
    return entrez


def positions(matrix: Matrix, symbols: np.ndarray) -> np.ndarray:
    """Return the row of each of `symbols` in `matrix`, which has them all."""
    return pd.Index(matrix.symbols).get_indexer(symbols)


def stack(
    matrices: Sequence[Matrix], obs: pd.DataFrame, symbols: np.ndarray, check: Callable[[Matrix, np.ndarray], None]
) -> np.ndarray:
    """Return X (n_obs, n_vars) float32: the samples of `obs` (columns sample_id, matrix) by `symbols`.

    One matrix is in memory beside X at a time. X is laid out by variable, as its Parquet file is.

    Parameters
    ----------
    check : called with each matrix and its values, (samples, all its genes), before anything is left out.
    """
    X = np.empty((len(obs), len(symbols)), dtype=np.float32, order="F")
    for matrix in matrices:
        rows = np.flatnonzero((obs["matrix"] == matrix.name).to_numpy())
        table = pq.read_table(matrix.path, columns=list(matrix.samples))
        values = np.stack([column.to_numpy() for column in table.columns])
        del table
        check(matrix, values)
        chosen = pd.Index(matrix.samples).get_indexer(obs["sample_id"].iloc[rows])
        X[rows] = values[np.ix_(chosen, positions(matrix, symbols))]
    return X

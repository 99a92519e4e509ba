"""Stack matrices with different genes in different orders to one cohort: join genes by name, keep what all have."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from aeflow.dataset.cohort import Cohort, dropped_frame
from aeflow.errors import DataError
from aeflow.expression import quality
from aeflow.expression.ids import GeneNames, SymbolTable, name_genes, stable_ids
from aeflow.expression.units import Measure, Seen
from aeflow.expression.wide import Matrix
from aeflow.table import Table


def read_genes(
    matrices: Mapping[str, Matrix], column: str, name: Callable[[Sequence[str], str], np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the gene of each row, by matrix; matrices with the same genes in the same order share one array.

    Parameters
    ----------
    column : text column that tells genes apart.
    name : called with its cells and the source file; returns what genes are joined by.
    """
    known: dict[bytes, np.ndarray] = {}
    genes = {}
    for key, matrix in matrices.items():
        cells = matrix.text().column(column).to_pylist()
        digest = hashlib.sha256("\n".join(cells).encode()).digest()
        if digest not in known:
            known[digest] = name(cells, matrix.source_file)
        genes[key] = known[digest]
    return genes


def common_genes(
    matrices: Mapping[str, Matrix], genes: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, list[tuple], dict[str, int]]:
    """Return the genes that every matrix has, sorted.

    Filling a missing gene with zeros would mark its tissue or study perfectly, so genes are intersected.

    Returns
    -------
    common : (n,) object.
    dropped : ("var", gene, reason, number of matrices without it, file of the first of these).
    report : how many genes are in all matrices, and in any.
    """
    owners: dict[int, list[str]] = {}  # matrices that share their genes are counted at once
    for key in matrices:
        owners.setdefault(id(genes[key]), []).append(key)
    counts: Counter[str] = Counter()
    for keys in owners.values():
        counts.update(dict.fromkeys(genes[keys[0]], len(keys)))
    n = len(matrices)
    common = np.array(sorted(gene for gene, count in counts.items() if count == n), dtype=object)
    if not len(common):
        examples = "; ".join(f"{matrices[k[0]].source_file}: {', '.join(genes[k[0]][:3])}" for k in owners.values())
        raise DataError(f"no gene is in all {n} matrices ({examples[:300]})")
    sets = [(matrices[keys[0]].source_file, set(genes[keys[0]])) for keys in owners.values()]
    dropped = []
    for gene in sorted(gene for gene, count in counts.items() if count < n):
        lacking = next(file for file, members in sets if gene not in members)
        dropped.append(("var", gene, "not in every matrix", float(n - counts[gene]), lacking))
    return common, dropped, {"intersection": len(common), "union": len(counts)}


def stack(
    matrices: Mapping[str, Matrix],
    genes: Mapping[str, np.ndarray],
    obs: pd.DataFrame,
    names: GeneNames,
    measure: Measure,
    *,
    every_sample: bool = False,
) -> tuple[np.ndarray, dict[str, Seen]]:
    """Return linear X (n_obs, n_vars) float32, laid out by variable as its Parquet file is, and what was seen.

    Rows of one variable are summed. One part of a matrix is in memory beside X at a time.

    Parameters
    ----------
    genes : gene of each row, by matrix. `names` : their variables.
    obs : columns sample_id, matrix (key of `matrices`), by which it is ordered, and column (of that matrix).
    measure : what is declared of the values; each matrix is held against it, over all its genes.
    every_sample : whether samples that are not in `obs` are held against it, too.
    """
    X = np.zeros((len(obs), len(names.var)), dtype=np.float32, order="F")
    rows_of = obs.groupby("matrix").indices
    found, groups = {}, {}
    for key, matrix in matrices.items():
        if key not in rows_of:
            continue
        axis = genes[key]
        if id(axis) not in groups:
            groups[id(axis)] = names.variable.reindex(axis).fillna(-1).to_numpy(dtype=np.int64)
        first, n = rows_of[key][0], len(rows_of[key])
        if not np.array_equal(rows_of[key], np.arange(first, first + n)):
            raise ValueError("obs must be ordered by matrix")
        taken = obs.iloc[first : first + n]
        others = sorted(set(matrix.samples) - set(taken["column"])) if every_sample else []
        found[key] = Seen(n + len(others))
        columns = [*taken["column"], *others]
        _fill(X[first : first + n], matrix, columns, groups[id(axis)], measure, found[key])
        measure.check(matrix.title, [*taken["sample_id"], *others], found[key])
    return X, found


def _fill(
    X: np.ndarray, matrix: Matrix, columns: Sequence[str], groups: np.ndarray, measure: Measure, seen: Seen
) -> None:
    """Fill X, zeros before, with the first of `columns`; see them all. `groups`: variable of each row, -1 for none."""
    _, firsts = np.unique(groups, return_index=True)
    is_first = np.zeros(len(groups), dtype=bool)
    is_first[firsts] = True
    for genes, part, values in matrix.values(columns):
        linear, wanted = measure.linear(values), groups[genes]
        seen.add(part, values, linear)
        rows = slice(part.start, max(part.start, min(part.stop, len(X))))
        linear = linear[: rows.stop - rows.start]
        once = np.flatnonzero(is_first[genes] & (wanted >= 0))
        X[rows, wanted[once]] = linear[:, once]
        for i in np.flatnonzero(~is_first[genes] & (wanted >= 0)):
            X[rows, wanted[i]] += linear[:, i]


def by_ensembl_id(
    matrices: Mapping[str, Matrix],
    obs: pd.DataFrame,
    dropped: Sequence[tuple],
    measure: Measure,
    *,
    table: SymbolTable | None,
    symbols: Sequence[str] | None = None,
    **cohort: Any,
) -> Cohort:
    """Return the cohort of matrices whose genes are Ensembl ids: joined by id, then named by symbol and summed.

    Genes are joined before they are named, so that a symbol is the sum of the same ids in every study.

    Parameters
    ----------
    matrices : the last one's symbols name the genes. Those without a sample in `obs` play no part.
    obs, measure : as for `stack`. `dropped` : rows of the drop log so far. `cohort` : further arguments of `finish`.
    table : HGNC's genes, or None to keep the symbols.
    symbols : of the rows of the last matrix; None reads its column symbol.
    """
    taken = set(obs["matrix"])
    matrices = {key: matrix for key, matrix in matrices.items() if key in taken}
    genes = read_genes(matrices, "gene_id", stable_ids)
    common, dropped_genes, counts = common_genes(matrices, genes)
    last, matrix = list(matrices.items())[-1]
    kept = np.flatnonzero(pd.Index(genes[last]).isin(common))
    found = pd.Series(matrix.text().column("symbol").to_pylist() if symbols is None else symbols, dtype=object)
    names = name_genes(genes[last][kept], found.iloc[kept], table, matrix.source_file)
    names = replace(names, dropped=[*dropped_genes, *names.dropped], report=names.report | counts)
    X, _ = stack(matrices, genes, obs, names, measure)
    return finish(X, obs, names, dropped, unit=measure.unit, cleaned_cells=cleaned_cells(matrices), **cohort)


def cleaned_cells(matrices: Mapping[str, Matrix]) -> dict[str, int]:
    """Return {raw file: text cells that had blanks or quotes around them} of the matrices that had any."""
    return {matrix.source_file: matrix.n_cleaned for matrix in matrices.values() if matrix.n_cleaned}


def finish(
    X: np.ndarray,
    obs: pd.DataFrame,
    names: GeneNames,
    dropped: Sequence[tuple],
    *,
    columns: Sequence[str],
    origin: str,
    unit: str,
    kind: str,
    gate: Mapping[str, Any] | None,
    **figures: Any,
) -> Cohort:
    """Return the cohort of linear X (n_obs, n_vars): the gate applied, the drop log and quality figures added.

    Parameters
    ----------
    columns : of `obs` that are kept.
    dropped : rows of the drop log so far; `names.dropped` and what the gate drops follow. `figures` : more entries of
        the quality record.
    """
    gated = quality.apply_gate(X, obs, names.var["symbol"].to_numpy(), gate)
    log = [*dropped, *names.dropped, *gated.dropped]
    record = {
        "origin": origin,
        "kind": kind,
        "unit": unit,
        "genes": names.report | {"kept": int(gated.keep_var.sum())},
        "gate": gated.report,
        "n_dropped": {axis: sum(row[0] == axis for row in log) for axis in ("obs", "var")},
        **quality.describe(gated.X, gated.obs),
        **figures,
    }
    var = names.var[gated.keep_var].reset_index(drop=True)
    table = Table(gated.X, gated.obs[list(columns)].reset_index(drop=True), var, unit)
    return Cohort(table, dropped_frame(log), record)

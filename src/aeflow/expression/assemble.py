"""From matrices of several studies, with genes by Ensembl id, to one cohort."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aeflow.dataset.cohort import Cohort, dropped_frame
from aeflow.errors import DataError
from aeflow.expression import quality, units
from aeflow.expression.ids import GeneNames, SymbolTable, name_genes, stable_ids
from aeflow.expression.wide import Matrix, collapse
from aeflow.table import Table

GENE_TEXT = ("gene_id", "symbol")


def stack(
    paths: Mapping[str, Path], obs: pd.DataFrame, table: SymbolTable | None, unit: str
) -> tuple[np.ndarray, GeneNames]:
    """Return X (n_obs, n_vars) float32 and its genes: those whose Ensembl id every matrix has, by symbol.

    Filling a missing gene with zeros would mark its study perfectly, so genes are intersected, and by id before they
    are named: a symbol is then the sum of the same ids in every study.

    Parameters
    ----------
    paths : name -> Parquet file of a linear matrix with the text columns `GENE_TEXT`; the last one's symbols name the
        genes. One is open at a time: there may be ten thousand.
    obs : columns sample_id, matrix (a name), column (of the sample in that matrix), source_file.
    table : HGNC's genes, or None to keep the symbols.
    unit : "counts" (whole numbers) or "tpm"; values that contradict it are a DataError.
    """
    taken = set(obs["matrix"])
    used = {name: path for name, path in paths.items() if name in taken}
    files = obs.groupby("matrix")["source_file"].first()
    axes = _axes(used, files)
    wanted = set.intersection(*(set(axis) for axis in {id(axis): axis for axis in axes.values()}.values()))
    if not wanted:
        raise DataError(f"no gene is in all of {', '.join(map(str, files.unique()[:5]))}")
    last = list(used)[-1]
    genes = name_genes(axes[last], Matrix(used[last], GENE_TEXT).text["symbol"], table, files[last], wanted)
    variable = pd.Series(genes.groups, index=axes[last])
    X = np.zeros((len(obs), len(genes.var)), dtype=np.float32, order="F")
    logged = {gene for _, gene, *_ in genes.dropped}
    groups: dict[int, np.ndarray] = {}
    for name, path in used.items():
        axis = axes[name]
        if id(axis) not in groups:
            groups[id(axis)] = variable.reindex(axis).fillna(-1).to_numpy(dtype=np.int64)
            extra = [gene for gene in axis if gene not in wanted and gene not in logged]
            genes.dropped += [("var", gene, "not in every matrix", float("nan"), files[name]) for gene in extra]
            logged.update(extra)
        _fill(X, Matrix(path, GENE_TEXT), obs, name, files[name], groups[id(axis)], unit)
    return X, genes


def _axes(paths: Mapping[str, Path], files: pd.Series) -> dict[str, np.ndarray]:
    """Return the stable ids of each matrix; matrices with the same genes in the same order share one array."""
    known: dict[bytes, np.ndarray] = {}
    axes = {}
    for name, path in paths.items():
        ids = Matrix(path, GENE_TEXT).text["gene_id"]
        key = hashlib.sha256("\n".join(ids).encode()).digest()
        if key not in known:
            known[key] = stable_ids(ids, files[name])
        axes[name] = known[key]
    return axes


def _fill(
    X: np.ndarray, matrix: Matrix, obs: pd.DataFrame, name: str, file: str, groups: np.ndarray, unit: str
) -> None:
    """Fill the rows of X whose samples are in `matrix`, and check them against `unit`."""
    rows = np.flatnonzero((obs["matrix"] == name).to_numpy())
    first, n = rows[0], len(rows)
    if not np.array_equal(rows, np.arange(first, first + n)):
        raise ValueError("obs must be ordered by matrix")
    columns, samples = obs["column"].iloc[rows].tolist(), obs["sample_id"].iloc[rows].tolist()
    seen = units.RangeCheck(n)
    collapse(matrix, columns, groups, X[first : first + n], seen.linear(lambda values: values))
    units.check_scale(f"{file} ({matrix.path})", units.LINEAR, samples, seen.low, seen.high)
    units.check_whole(f"{file} ({matrix.path})", unit, seen.whole_share, fractional=False)


def finish(
    X: np.ndarray,
    obs: pd.DataFrame,
    genes: GeneNames,
    dropped: Sequence[tuple],
    *,
    unit: str,
    kind: str,
    gate: Mapping[str, Any] | None,
    **figures: Any,
) -> Cohort:
    """Return the cohort of real, linear X (n_obs, n_vars): the gate applied, the drop log and quality figures added.

    Parameters
    ----------
    dropped : rows of the drop log so far; `figures` : more entries of the quality record.
    """
    gated = quality.apply_gate(X, obs, genes.var["symbol"].to_numpy(), gate)
    log = [*dropped, *gated.dropped]
    record = {
        "origin": "real",
        "kind": kind,
        "unit": unit,
        "genes": genes.report | {"kept": int(gated.keep_var.sum())},
        "gate": gated.report,
        "n_dropped": {axis: sum(row[0] == axis for row in log) for axis in ("obs", "var")},
        **quality.describe(gated.X, gated.obs),
        **figures,
    }
    var = genes.var[gated.keep_var].reset_index(drop=True)
    return Cohort(Table(gated.X, gated.obs.reset_index(drop=True), var, unit), dropped_frame(log), record)

"""Gene sets: the GMT format, which name of a gene they use, and the mask that says which gene is in which set."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aeflow.errors import DataError
from aeflow.expression import text
from aeflow.expression.symbols import fault_of_spreadsheet


def read_gmt(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Return {set name: genes} of a GMT file: name TAB description TAB gene TAB gene ..., one set a line.

    Also of a zip archive with one GMT file in it, as Reactome publishes its sets. The description may be empty. Weights
    (``GENE,1.0``, as some Enrichr libraries have) are cut off, as are blanks and quotes around a cell; empty cells at
    the end of a line are ignored, and a gene that stands twice in a set is kept once.

    Raises
    ------
    DataError : naming file and line, for a line that is no gene set, a set name that occurs twice, a gene that is
        empty, has a stray quote, or was turned into a date by a spreadsheet, or an empty file.
    """
    sets: dict[str, tuple[str, ...]] = {}
    lines: dict[str, int] = {}
    days: list[str] = []  # faults of numbers such as 44441: Entrez ids if all genes are numbers, else days
    for number, line in enumerate(_lines(Path(path)), start=1):
        if not line.strip():
            continue
        cells = [text.clean(cell) for cell in line.split("\t")]
        name = cells[0]
        genes = [text.clean(cell.split(",")[0]) for cell in cells[2:]]
        while genes and not genes[-1]:
            genes.pop()
        if not name or not genes:
            raise DataError(f"{path}: line {number}: expected name, description and genes, found {line[:80]!r}")
        for column, gene in enumerate(genes, start=3):
            where = f"{path}: line {number}, column {column}"
            if not gene:
                raise DataError(f"{where}: empty gene in set {name!r}")
            if what := text.fault_of_cell(gene):
                raise DataError(f"{where}: {what} in set {name!r}, found {gene[:80]!r}")
            if what := fault_of_spreadsheet(gene):
                fault = f"{where}: {what} in set {name!r}, found {gene!r}"
                if not text.WHOLE.fullmatch(gene):
                    raise DataError(fault)
                days.append(fault)
        if name in sets:
            raise DataError(f"{path}: line {number}: set {name!r} stands on line {lines[name]}, too")
        sets[name], lines[name] = tuple(dict.fromkeys(genes)), number
    if not sets:
        raise DataError(f"{path}: no gene set in it")
    if days and not _by_number(sets):
        raise DataError(days[0])
    return sets


def _lines(path: Path) -> list[str]:
    """Return the lines of a file, or of the only GMT file in a zip archive."""
    if not zipfile.is_zipfile(path):
        return text.all_lines(path)
    with zipfile.ZipFile(path) as archive:
        inner = [name for name in archive.namelist() if name.endswith(".gmt")]
        if len(inner) != 1:
            raise DataError(f"{path}: expected one GMT file in the archive, found {', '.join(inner) or 'none'}")
        return text.decoded(archive.read(inner[0]), path)


def _by_number(sets: Mapping[str, Sequence[str]]) -> bool:
    """Whether all genes of `sets` are Entrez ids."""
    return all(text.WHOLE.fullmatch(gene) for genes in sets.values() for gene in genes)


def names_for_sets(
    sets: Mapping[str, Sequence[str]], var: pd.DataFrame, name: str = "gene sets"
) -> tuple[list[str], str]:
    """Return the variables by the name that `sets` use: Entrez ids where all their genes are numbers, else symbols.

    Parameters
    ----------
    sets : name -> genes, as `read_gmt` returns them.
    var : (n_vars,) columns symbol and, for sets by Entrez id, entrez_id (nullable).
    name : where the sets come from (the GMT file), for messages.

    Returns
    -------
    names : (n_vars,) for `gene_set_mask`; "" where a variable has no Entrez id, which no set has.
    vocabulary : "entrez_id" or "symbol".

    Raises
    ------
    DataError : for sets by Entrez id if no variable has one.
    """
    if not _by_number(sets):
        return var["symbol"].astype(str).tolist(), "symbol"
    ids = var["entrez_id"] if "entrez_id" in var.columns else pd.Series(pd.NA, index=var.index)
    if not ids.notna().any():
        raise DataError(f"{name}: its genes are Entrez ids, which no variable of the data has")
    return ["" if pd.isna(i) else str(int(i)) for i in ids], "entrez_id"


def coverage(mask: np.ndarray, report: pd.DataFrame, vocabulary: str = "symbol") -> dict[str, Any]:
    """Return what a mask covers, JSON-able: sets kept and left out, and how many variables are in no set.

    Parameters
    ----------
    mask : (n_vars, n_sets) bool; report : both as `gene_set_mask` returns them.
    """
    in_a_set = mask.any(1)
    share = report["covered"] / report["size"]
    worst = share[report["kept"]].idxmin()
    return {
        "vocabulary": vocabulary,
        "sets": {"read": len(report), "kept": int(report["kept"].sum())},
        "sets_left_out": report.loc[~report["kept"], "set"].tolist(),
        "genes_of_sets": {"mean_share_found": float(share.mean()), "worst_kept_set": str(report["set"][worst])}
        | {"worst_kept_share": float(share[worst])},
        "variables": {"all": len(mask), "in_a_set": int(in_a_set.sum()), "in_no_set": int((~in_a_set).sum())},
    }


def gene_set_mask(
    sets: Mapping[str, Sequence[str]], symbols: Sequence[str], min_genes: int, name: str = "gene sets"
) -> tuple[np.ndarray, list[str], pd.DataFrame]:
    """Return which of `symbols` is in which gene set.

    Parameters
    ----------
    sets : name -> genes.
    symbols : (n_vars,) gene symbols of the data, in the order of its variables, or other names (`names_for_sets`).
    min_genes : a set of which fewer genes are among `symbols` is left out.
    name : where the sets come from (the GMT file), for messages.

    Returns
    -------
    mask : (n_vars, n_sets) bool.
    names : n_sets set names, in the order of `sets`.
    report : one row per set of `sets`: set, size, covered (genes among `symbols`), kept (bool).

    Raises
    ------
    DataError : if no gene of any set is among `symbols`, or no set has `min_genes` of them.
    """
    position: dict[str, list[int]] = {}
    for i, symbol in enumerate(symbols):  # several variables can have one Entrez id: a set has them all
        position.setdefault(symbol, []).append(i)
    members = {key: [i for gene in genes for i in position.get(gene, ())] for key, genes in sets.items()}
    if not any(members.values()):
        examples = list(islice((gene for genes in sets.values() for gene in genes), 3))
        raise DataError(
            f"{name}: none of its genes ({', '.join(examples)}, ...) is a variable of the data "
            f"({', '.join(map(str, list(symbols)[:3]))}, ...)"
        )
    report = pd.DataFrame(
        {
            "set": list(sets),
            "size": [len(genes) for genes in sets.values()],
            "covered": [sum(gene in position for gene in genes) for genes in sets.values()],
        }
    )
    report["kept"] = report["covered"] >= min_genes
    names = report.loc[report["kept"], "set"].tolist()
    if not names:
        best = report.loc[report["covered"].idxmax()]
        raise DataError(
            f"{name}: no set has {min_genes} genes among the {len(position)} variables; the best, {best['set']!r}, "
            f"has {best['covered']} of {best['size']}"
        )
    mask = np.zeros((len(symbols), len(names)), dtype=bool)
    for column, key in enumerate(names):
        mask[members[key], column] = True
    return mask, names, report

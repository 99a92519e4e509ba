"""Gene sets: the GMT format, and the mask that says which gene is in which set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from aeflow.errors import DataError


def read_gmt(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Return {set name: genes} of a GMT file: name TAB description TAB gene TAB gene ..., one set a line.

    The description may be empty. Weights (``GENE,1.0``, as some Enrichr libraries have) are cut off, empty cells at the
    end of a line are ignored, and a gene that stands twice in a set is kept once.

    Raises
    ------
    DataError : naming file and line, for a line that is no gene set, a set name that occurs twice, or an empty file.
    """
    sets: dict[str, tuple[str, ...]] = {}
    lines: dict[str, int] = {}
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        cells = line.rstrip("\r").split("\t")
        name = cells[0].strip()
        genes = [cell.split(",")[0].strip() for cell in cells[2:]]
        while genes and not genes[-1]:
            genes.pop()
        if not name or not genes:
            raise DataError(f"{path}: line {number}: expected name, description and genes, found {line[:80]!r}")
        if "" in genes:
            raise DataError(f"{path}: line {number}, column {genes.index('') + 3}: empty gene in set {name!r}")
        if name in sets:
            raise DataError(f"{path}: line {number}: set {name!r} stands on line {lines[name]}, too")
        sets[name], lines[name] = tuple(dict.fromkeys(genes)), number
    if not sets:
        raise DataError(f"{path}: no gene set in it")
    return sets


def gene_set_mask(
    sets: Mapping[str, Sequence[str]], symbols: Sequence[str], min_genes: int, name: str = "gene sets"
) -> tuple[np.ndarray, list[str], pd.DataFrame]:
    """Return which of `symbols` is in which gene set.

    Parameters
    ----------
    sets : name -> genes.
    symbols : (n_vars,) gene symbols of the data, in the order of its variables.
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
    position = {symbol: i for i, symbol in enumerate(symbols)}
    members = {key: [position[gene] for gene in genes if gene in position] for key, genes in sets.items()}
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
            "covered": [len(set(rows)) for rows in members.values()],
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

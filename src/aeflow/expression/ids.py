"""Gene names: Ensembl ids of any release, and symbols of any year, to the symbols approved today.

The stated table is HGNC's complete set. A gene gets its symbol by the first of these rules that applies:

1. its Ensembl id is that of an approved gene;
2. its name is an approved symbol;
3. its name is a previous symbol of exactly one approved gene;
4. its name is no previous symbol and an alias of exactly one approved gene.

A name that is a previous symbol of several genes, or only an alias of several, is ambiguous: the gene is dropped and
logged. A name that HGNC does not know (clone names, mostly) stays. Genes of one symbol are summed in linear space.

A gene whose name is blank or a word for nothing is called by its Ensembl id, with HGNC's table or without, unless the
first rule names it. A gene whose name a spreadsheet has turned into a date or a number is dropped and logged, with the
same exception. So only genes of one real symbol are summed, and a gene on X with its copy on Y.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from aeflow.errors import DataError
from aeflow.expression.sheets import read_sheet
from aeflow.expression.symbols import fault_of_spreadsheet, fault_of_symbol, is_named
from aeflow.expression.text import WHOLE, clean, date_note
from aeflow.files import write_frame

ENSEMBL = re.compile(r"ENSG(?P<number>R?\d+)(\.\d+)?(?P<par>_PAR_Y)?", re.ASCII)
PAR_Y = "_PAR_Y"
DAY_AND_MONTH = re.compile(r"\d{1,2}[-./ ] ?[a-z]", re.ASCII | re.IGNORECASE)  # as 2-Sep; an alias may be OCT-11
HGNC_COLUMNS = ("symbol", "status", "alias_symbol", "prev_symbol", "entrez_id", "ensembl_gene_id")
RULES = ("ensembl id", "approved symbol", "previous symbol", "alias", "unknown name kept", "ambiguous")
NO_NAME, SPOILT = "no name, called by its ensembl id", "name spoilt by a spreadsheet"


def stable_id(ensembl_id: str, where: str) -> str:
    """Return an Ensembl gene id without its version, and with ``_PAR_Y`` where it is the copy on chromosome Y.

    Cut at the first dot, ``ENSG00000228572.7_PAR_Y`` would collide with the copy on X. GENCODE up to release 24 wrote
    these genes ``ENSGR0000228572``, an R for the first 0. DataError beginning with `where` for anything else.
    """
    match = ENSEMBL.fullmatch(ensembl_id)
    if not match or len(match["number"]) != 11:
        raise DataError(f"{where}: not an Ensembl gene id, found {ensembl_id!r}{date_note(ensembl_id)}")
    number = match["number"]
    on_y = bool(match["par"]) or number.startswith("R")
    return f"ENSG{number.replace('R', '0')}{PAR_Y if on_y else ''}"


def stable_ids(ids: Sequence[str], where: str) -> np.ndarray:
    """Return `stable_id` of each; DataError if two become the same."""
    stable = pd.Series([stable_id(i, where) for i in ids], dtype=object)
    twice = stable.duplicated()
    if twice.any():
        raise DataError(f"{where}: gene {stable[twice].iloc[0]!r} occurs more than once under different versions")
    return stable.to_numpy()


@dataclass
class SymbolTable:
    """HGNC's approved genes, by everything they are or were called; see the head of this file for the rules."""

    entrez: dict[str, int | None] = field(default_factory=dict)
    by_ensembl: dict[str, str] = field(default_factory=dict)
    previous: dict[str, set[str]] = field(default_factory=dict)
    alias: dict[str, set[str]] = field(default_factory=dict)

    def resolve(self, name: str, ensembl: str = "") -> tuple[str, str, tuple[str, ...]]:
        """Return (symbol, the rule of `RULES` that gave it, candidates if ambiguous); `ensembl` is a stable id."""
        if symbol := self.by_ensembl.get(ensembl.removesuffix(PAR_Y)):
            return symbol, "ensembl id", ()
        if name in self.entrez:
            return name, "approved symbol", ()
        for rule, names in (("previous symbol", self.previous), ("alias", self.alias)):
            found = tuple(sorted(names.get(name, ())))
            if len(found) == 1:
                return found[0], rule, ()
            if found:
                return name, "ambiguous", found
        return name, "unknown name kept", ()


def convert_hgnc(path: Path, out: Path) -> None:
    """Write the columns `HGNC_COLUMNS` of HGNC's complete set (TSV) as Parquet; lists stay joined by ``|``.

    HGNC puts quotes around cells that hold lists; they are taken off. DataError, naming line and column: a stray quote,
    a missing symbol, an Entrez id that is no number, a symbol that a spreadsheet has turned into a date.
    """
    frame = read_sheet(path, HGNC_COLUMNS)
    for number, row in enumerate(frame.itertuples(), start=2):
        if what := fault_of_symbol(row.symbol):
            what = what if row.symbol else "empty cell"
            raise DataError(f"{path}: line {number}, symbol: {what}, found {row.symbol!r}")
        if row.entrez_id and not WHOLE.fullmatch(row.entrez_id):
            note = date_note(row.entrez_id)
            raise DataError(f"{path}: line {number}, entrez_id: not a gene id, found {row.entrez_id!r}{note}")
        for column in ("prev_symbol", "alias_symbol"):
            for name in filter(DAY_AND_MONTH.match, _names(getattr(row, column))):
                if what := fault_of_spreadsheet(name):
                    raise DataError(f"{path}: line {number}, {column}: {what}, found {name!r}")
    write_frame(frame, out)


def _names(cell: str) -> list[str]:
    """Return the names in a cell that holds a list."""
    return [name for part in cell.split("|") if (name := clean(part))]


def read_symbols(path: Path) -> SymbolTable:
    """Return the table of a Parquet file that `convert_hgnc` wrote; only approved genes are in it."""
    frame = pd.read_parquet(path)
    frame = frame[frame["status"] == "Approved"]
    if not len(frame) or frame["symbol"].duplicated().any():
        twice = frame["symbol"][frame["symbol"].duplicated()]
        raise DataError(f"{path}: " + (f"symbol {twice.iloc[0]!r} is approved twice" if len(twice) else "no gene"))
    table = SymbolTable()
    ensembl_owners: dict[str, set[str]] = {}
    for row in frame.itertuples():
        table.entrez[row.symbol] = int(row.entrez_id) if row.entrez_id else None
        if row.ensembl_gene_id:
            ensembl_owners.setdefault(row.ensembl_gene_id, set()).add(row.symbol)
        for names, cell in ((table.previous, row.prev_symbol), (table.alias, row.alias_symbol)):
            for name in _names(cell):
                names.setdefault(name, set()).add(row.symbol)
    table.by_ensembl = {i: next(iter(owners)) for i, owners in ensembl_owners.items() if len(owners) == 1}
    return table


@dataclass(frozen=True)
class GeneNames:
    """What the genes of a cohort's matrices are called.

    `var` has one row per variable: var_id, symbol, entrez_id (Int64) and, where genes have them, ensembl_ids (joined by
    ``;``, in row order). `variable` gives the row of `var` by what genes are joined by, -1 where a gene is left out.
    `dropped` is for the drop log; `report` counts how names were found and which were summed.
    """

    var: pd.DataFrame
    variable: pd.Series
    dropped: list[tuple]
    report: dict


def name_genes(ensembl: Sequence[str], names: Sequence[str], table: SymbolTable | None, source_file: str) -> GeneNames:
    """Name genes and group those of one symbol, which are summed in linear space; see the head of this file.

    Parameters
    ----------
    ensembl : (n,) stable ids; names : (n,) symbols of the source.
    table : HGNC's genes; None keeps the names of the source.
    source_file : for the drop log.
    """
    symbols, dropped, counts = [], [], dict.fromkeys((*RULES, NO_NAME, SPOILT), 0)
    for gene, name in zip(ensembl, names, strict=True):
        symbol, rule, candidates = table.resolve(name, gene) if table else (name, "unknown name kept", ())
        if rule != "ensembl id" and not is_named(name):
            symbol, rule, candidates = gene.removesuffix(PAR_Y), NO_NAME, ()
        elif rule != "ensembl id" and (what := fault_of_spreadsheet(name)):
            symbol, rule = None, SPOILT
            dropped.append(("var", gene, f"{what}: {name}", float("nan"), source_file))
        elif candidates:
            symbol = None
            reason = f"{name} is ambiguous: it was or is a name of {', '.join(candidates)}"
            dropped.append(("var", gene, reason, float(len(candidates)), source_file))
        counts[rule] += 1
        symbols.append(symbol)
    kept = pd.Series(symbols, dtype=object)
    order = sorted(set(kept.dropna()))
    if not order:
        raise DataError(f"{source_file}: no gene is left of {len(symbols)}; {dropped[0][1]}: {dropped[0][2]}")
    groups = pd.Index(order).get_indexer(kept)
    sizes = np.bincount(groups[groups >= 0], minlength=len(order))
    members = pd.Series(np.asarray(ensembl, dtype=object)).groupby(groups).agg(";".join)
    ids = pd.array([table.entrez.get(s) if table else None for s in order], dtype="Int64")
    var = pd.DataFrame({"var_id": order, "symbol": order, "entrez_id": ids, "ensembl_ids": members.loc[0:].to_numpy()})
    named_by = {rule if table or rule != "unknown name kept" else "source": n for rule, n in counts.items() if n}
    largest = sorted(((int(n), s) for n, s in zip(sizes, order, strict=True) if n > 1), reverse=True)[:20]
    report = {
        "rows": len(symbols),
        "kept": len(order),
        "symbols_of": "HGNC" if table else "the source",
        "named_by": named_by,
        "summed": {"symbols": int((sizes > 1).sum()), "rows": int(sizes[sizes > 1].sum())},
        "largest_sums": [{"symbol": s, "rows": n} for n, s in largest],
    }
    return GeneNames(var, pd.Series(groups, index=ensembl), dropped, report)

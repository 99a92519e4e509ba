"""Is this a gene symbol? Words for nothing are none, and what a spreadsheet has made of a symbol is one no longer.

Spreadsheets turn SEPT2, MARCH1 and DEC1 into dates, or the numbers of their days, and identifiers such as 2310009E13
into powers of ten (Ziemann et al. 2016, Genome Biol 17:177).
"""

from __future__ import annotations

import re

from aeflow.expression.text import is_date
from aeflow.labels import UNLABELLED

NO_NAME = UNLABELLED | {"-", ".", "?", "---", "none", "#n/a", "#na", "#name?", "#ref!", "#value!", "#null!"}
POWER = re.compile(r"\d([.,]\d+)?[eE]\+\d+", re.ASCII)


def is_named(symbol: str) -> bool:
    """Whether a clean cell names a gene: it is neither a missing label nor one of the other words for nothing."""
    return symbol.lower() not in NO_NAME


def fault_of_spreadsheet(symbol: str) -> str | None:
    """Return what a spreadsheet has made of a gene symbol (a clean cell), or None."""
    if symbol.isalnum() and not symbol[0].isdigit():  # most symbols
        return None
    if is_date(symbol):
        return "a spreadsheet has made a date of a gene symbol"
    return "a spreadsheet has made a number of a gene symbol" if POWER.fullmatch(symbol) else None


def fault_of_symbol(symbol: str) -> str | None:
    """Return why a clean cell is no gene symbol, or None."""
    return fault_of_spreadsheet(symbol) if is_named(symbol) else "no gene symbol"

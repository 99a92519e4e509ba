"""Read a gzipped tab-separated matrix: text columns first, then one number per sample and row.

Polars decompresses (any number of gzip members, checksums verified) and parses at native speed. Only when something
is wrong is the file read a second time, line by line, to name the line and column.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import polars as pl

from aeflow.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def read_header(path: Path) -> list[str]:
    """Return the column names of a gzipped TSV.

    Raises DataError if the file is not gzip (whatever its name says), is cut off, or repeats a column name.
    """
    names = next(_lines(path), (0, ""))[1].split("\t")
    repeated = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    for column, name in enumerate(names, start=1):
        if name in repeated:
            raise DataError(f"{path}: line 1, column {column}: name {name!r} occurs {names.count(name)} times")
        if not name:
            raise DataError(f"{path}: line 1, column {column}: empty column name")
    return names


def read_matrix(path: Path, text_columns: tuple[str, ...], *, non_negative: bool = True) -> pl.DataFrame:
    """Return `text_columns` as strings and every other column as float32, none of them missing.

    Parameters
    ----------
    path : gzipped TSV with one header line.
    text_columns : names that the first columns must have.
    non_negative : whether values below zero are an error.

    Raises
    ------
    DataError : naming file, line and column, and the value found, for anything but a full matrix of finite numbers.
    """
    names = read_header(path)
    n_text = len(text_columns)
    for column, wanted in enumerate(text_columns, start=1):
        found = names[column - 1] if column <= len(names) else None
        if found != wanted:
            raise DataError(f"{path}: line 1, column {column}: expected {wanted!r}, found {str(found)[:80]!r}")
    if len(names) == n_text:
        raise DataError(f"{path}: line 1: no sample columns after {', '.join(text_columns)}")
    schema = {name: pl.String if i < n_text else pl.Float32 for i, name in enumerate(names)}
    try:
        frame = pl.read_csv(path, separator="\t", schema=schema, quote_char=None, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        _locate(path, names, n_text, non_negative, error)
    if frame.height == 0:
        raise DataError(f"{path}: no rows after the header")
    if not _is_sound(frame, n_text, non_negative):
        _locate(path, names, n_text, non_negative, None)
    return frame


def _is_sound(frame: pl.DataFrame, n_text: int, non_negative: bool) -> bool:
    """Whether no cell is missing and every value is finite and, if asked, not negative."""
    if any(column.null_count() for column in frame.iter_columns()):
        return False
    lowest = 0.0 if non_negative else -math.inf
    for column in frame.get_columns()[n_text:]:
        values = column.to_numpy()
        low, high = values.min(), values.max()  # NaN makes both NaN, and every comparison with it is false
        if not (low >= lowest and high < math.inf and low > -math.inf):
            return False
    return True


def _locate(path: Path, names: list[str], n_text: int, non_negative: bool, cause: Exception | None) -> NoReturn:
    """Raise DataError naming the first offending cell; the fast reader knows only that there is one."""
    for number, line in _lines(path):
        if number == 1:
            continue
        cells = line.split("\t")
        if len(cells) != len(names):
            raise DataError(f"{path}: line {number}: {len(cells)} cells, the header has {len(names)}")
        for column, (name, cell) in enumerate(zip(names, cells, strict=True), start=1):
            what = _fault(cell, column > n_text, non_negative)
            if what:
                raise DataError(f"{path}: line {number}, column {column} ({name}): {what}, found {cell[:80]!r}")
    raise DataError(f"{path}: not a matrix of numbers: {cause}") from cause


def _fault(cell: str, is_value: bool, non_negative: bool) -> str | None:
    """Return what is wrong with a cell, or None."""
    if not cell:
        return "empty cell"
    if not is_value:
        return None
    if not NUMBER.fullmatch(cell.lstrip(" ")):
        return "not a finite number"
    with np.errstate(over="ignore"):
        value = np.float32(cell)
    if not np.isfinite(value):
        return "not a finite float32"
    return "negative value" if non_negative and value < 0 else None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, text without its end); DataError where the bytes are not gzipped UTF-8 text."""
    with open(path, "rb") as handle:
        head = handle.read(80)
    if head[:2] != GZIP_MAGIC:
        raise DataError(f"{path}: not a gzip file; it begins with {head[:40]!r}")
    number = 0
    try:
        with gzip.open(path, "rb") as handle:
            for number, line in enumerate(handle, start=1):
                yield number, line.decode("utf-8").rstrip("\r\n")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: truncated or corrupt gzip after line {number}: {error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: line {number}: not UTF-8 text: {error}") from error

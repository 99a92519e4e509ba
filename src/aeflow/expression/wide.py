"""Wide text, genes in rows and samples in columns, to Parquet and back: every matrix of expression is read here.

Polars decompresses and parses at native speed, some thousands of genes at a time, whatever the size of the file. Only
when something is wrong is the file read a second time, cell by cell, to name line and column.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from aeflow.errors import DataError
from aeflow.expression import text
from aeflow.expression.symbols import fault_of_symbol
from aeflow.files import atomic_path

ROWS = 4096  # genes of a row group, at least: so the footer of 20,000 columns stays readable
VALUES = 1 << 24  # of a row group, where that is more: so a matrix of few samples is one group, which is cheaper
COLUMNS = 1024  # samples read from Parquet at a time
WIDE = 4096  # samples; from here on a column and chunk costs polars more than its cells do (tests/bench/README.md)
CLEANED = "cells cleaned"  # key of the metadata
IDS = re.compile(r"( *\d{1,18} *)(\t *\d{1,18} *)*", re.ASCII)  # whole numbers, with a tab between them


@dataclass(frozen=True)
class Header:
    """What stands above the numbers.

    text : name in the file -> name in Parquet (None leaves the column out) of the leading columns, which are text. The
        first that is kept is the key: each row has one, and no two share it. Cells are stored clean (`text.clean`).
    samples : names of the other columns.
    n_lines : lines above the first row. `names_line` : the one of the column names.
    n_rows : how many rows are promised; None where nothing is said.
    ids : names of those text columns that hold ids by number (Entrez), stored as int64; 0 is none.
    keep : those of `samples` that are stored; None stores all. The others are checked as well.
    """

    text: Mapping[str, str | None]
    samples: Sequence[str]
    n_lines: int = 1
    names_line: int = 1
    n_rows: int | None = None
    ids: Collection[str] = ()
    keep: Sequence[str] | None = None

    @property
    def key(self) -> str:
        return next(name for name, stored in self.text.items() if stored)

    @property
    def key_is_symbol(self) -> bool:
        return self.text[self.key] == "symbol"


def read_header(path: Path, columns: Mapping[str, str], ids: Collection[str] = ()) -> Header:
    """Return the header of a matrix with one line above the numbers: `columns` (name -> name in Parquet), samples.

    DataError, naming line and column: another leading column, a name that is empty or occurs twice, no sample.
    """
    names = text.split_header(text.read_lines(path, 1)[0], f"{path}: line 1")
    for place, wanted in enumerate(columns):
        found = names[place] if place < len(names) else None
        if found != wanted:
            raise DataError(f"{path}: line 1, column {place + 1}: expected {wanted!r}, found {str(found)[:80]!r}")
    if len(names) == len(columns):
        raise DataError(f"{path}: line 1: no sample columns after {', '.join(columns)}")
    return Header(columns, names[len(columns) :], ids=ids)


def convert_matrix(
    path: Path,
    out: Path,
    header: Header,
    *,
    non_negative: bool,
    check_sample: Callable[[str, str], object] = lambda sample, where: None,
    compression: str = "none",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a matrix as Parquet: text columns, then one float32 column per sample; genes in rows.

    Uncompressed by default, because zstd saves a third of the space of a wide matrix and takes twice the time to write.
    How many text cells had blanks or quotes around them that were taken off goes into the metadata: `Matrix.n_cleaned`.

    Parameters
    ----------
    check_sample : called with each sample id and where it stands; raises DataError for one it does not know.

    Raises
    ------
    DataError : naming file, line and column, and the value found, for anything but a full matrix of finite (and, if
        asked, non-negative) float32 numbers, a text cell with a stray quote or control character, ids that are no
        whole numbers, a key that is missing, occurs twice or was turned into a date, and another number of rows than
        promised.
    """
    for column, sample in enumerate(header.samples, start=len(header.text) + 1):
        check_sample(sample, f"{path}: line {header.names_line}, column {column}")
    labels = [(i, name, stored) for i, (name, stored) in enumerate(header.text.items()) if stored]
    kept = [i for i, name in enumerate(header.samples) if header.keep is None or name in header.keep]
    types = {name: pa.int64() if name in header.ids else pa.string() for _, name, _ in labels}
    fields = [(stored, types[name]) for _, name, stored in labels]
    fields += [(header.samples[i], pa.float32()) for i in kept]
    schema = pa.schema(fields, metadata=metadata)
    lines: dict[str, int] = {}
    n_cleaned = 0
    key = labels[0][0]
    parquet = {"compression": compression, "use_dictionary": False, "write_statistics": False}
    with atomic_path(out) as tmp, pq.ParquetWriter(tmp, schema, **parquet) as writer:
        for cells, values, n in _sound_rows(path, header, non_negative):
            n_cleaned += n
            first = header.n_lines + 1 + len(lines)
            lines |= _lines_of(cells[key], first, lines, f"{path}: line {{}}, column {key + 1} ({header.key})")
            arrays = []
            for i, name, _ in labels:
                arrays.append(pa.array(map(int, cells[i]) if name in header.ids else cells[i], types[name]))
            arrays += [pa.array(values[i]) for i in kept]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        if header.n_rows is not None and len(lines) != header.n_rows:
            raise DataError(f"{path}: the header promises {header.n_rows} rows, {len(lines)} follow")
        if not lines:
            raise DataError(f"{path}: no rows after the header")
        if n_cleaned:
            writer.add_key_value_metadata({CLEANED: str(n_cleaned)})


def _lines_of(keys: Sequence[str], first: int, earlier: Mapping[str, int], where: str) -> dict[str, int]:
    """Return the line of each key; DataError, beginning with `where`, for one that occurs twice or is in `earlier`."""
    lines = dict(zip(reversed(keys), range(first + len(keys) - 1, first - 1, -1), strict=True))
    if len(lines) < len(keys) or not earlier.keys().isdisjoint(lines):
        known = lines | earlier
        line, key = next((line, key) for line, key in enumerate(keys, start=first) if known[key] != line)
        raise DataError(where.format(line) + f": {key!r} stands on line {known[key]}, too")
    return lines


def _sound_rows(path: Path, header: Header, non_negative: bool) -> Iterator[tuple[list[list[str]], np.ndarray, int]]:
    """Yield (clean cells of each text column, values (samples, rows) float32, cells cleaned) of some sound rows."""
    stored = [i for i, name in enumerate(header.text.values()) if name]
    key = stored[0]
    ids = [i for i, name in enumerate(header.text) if name in header.ids]
    lowest = 0.0 if non_negative else np.finfo(np.float32).min
    line = header.n_lines + 1
    rows = (_by_column if len(header.samples) < WIDE else _by_cell)(path, header)
    while True:
        try:
            cells, values = next(rows)
        except StopIteration:
            return
        except DataError:
            raise
        except (pl.exceptions.PolarsError, OSError, ValueError) as error:
            _locate(path, header, line, non_negative, error)
        sound = values.min() >= lowest and values.max() < np.inf  # NaN makes both NaN, and every comparison false
        cells, n_cleaned = list(cells), 0
        for i in stored:
            joined = "\t".join(cells[i])
            if (i in ids and IDS.fullmatch(joined)) or text.PLAIN.fullmatch(joined):
                continue
            clean = [text.clean(cell) for cell in cells[i]]
            n_cleaned += sum(map(operator.ne, cells[i], clean))
            cells[i] = clean
            sound = sound and not any(map(text.fault_of_cell, clean))
        sound = sound and all(cells[key]) and all(IDS.fullmatch("\t".join(cells[i])) for i in ids)
        sound = sound and not (header.key_is_symbol and any(map(fault_of_symbol, cells[key])))
        if not sound:
            _locate(path, header, line, non_negative, None)
        line += values.shape[1]
        yield cells, values, n_cleaned


def _by_column(path: Path, header: Header) -> Iterator[tuple[list[list[str]], np.ndarray]]:
    """Yield rows as polars streams them, parsed column by column; a missing number is NaN."""
    n_text = len(header.text)
    schema = dict.fromkeys(header.text, pl.String) | dict.fromkeys(header.samples, pl.Float32)
    lines = pl.scan_csv(
        path,
        has_header=False,
        skip_lines=header.n_lines,
        schema=schema,
        separator="\t",
        quote_char=None,
        glob=False,
    )
    for frame in lines.collect_batches(chunk_size=_group_rows(header), maintain_order=True):
        cells = [column.fill_null("").to_list() for column in frame.get_columns()[:n_text]]
        yield cells, frame[:, n_text:].to_numpy(order="fortran").T


def _by_cell(path: Path, header: Header) -> Iterator[tuple[list[list[str]], np.ndarray]]:
    """Yield rows whose numbers were parsed as one long column, which costs nothing per column of the matrix."""
    n_text = len(header.text)
    n_samples = len(header.samples)
    line = 0
    group = _group_rows(header)
    values, labels = np.empty((n_samples, group), dtype=np.float32), []
    for lines in text.line_blocks(path):
        rows = [row.split(b"\t", n_text) for row in lines[max(header.n_lines - line, 0) :]]
        line += len(lines)
        if any(len(row) <= n_text or row[n_text].count(b"\t") != n_samples - 1 for row in rows):
            raise ValueError("a row of another length than the header")
        numbers = pl.read_csv(
            b"\t".join([row[n_text] for row in rows]),
            has_header=False,
            schema={"value": pl.Float32},
            eol_char="\t",
            quote_char=None,
            raise_if_empty=False,
        )
        block = numbers["value"].to_numpy().reshape(len(rows), n_samples)  # ValueError where a cell is empty
        done = 0
        while done < len(rows):
            start = len(labels)
            n = min(group - len(labels), len(rows) - done)
            values[:, start : start + n] = block[done : done + n].T
            labels += [[cell.decode("utf-8") for cell in row[:n_text]] for row in rows[done : done + n]]
            done += n
            if len(labels) == group:
                yield list(zip(*labels, strict=True)), values
                labels = []
    if labels:
        yield list(zip(*labels, strict=True)), values[:, : len(labels)]


def _group_rows(header: Header) -> int:
    return max(ROWS, VALUES // len(header.samples))


def _locate(path: Path, header: Header, start: int, non_negative: bool, cause: Exception | None) -> NoReturn:
    """Raise DataError naming the first offending cell from line `start` on; the fast reader knows only there is one."""
    names, line = [*header.text, *header.samples], 0
    for rows in text.line_blocks(path):
        for number, row in enumerate(rows, start=line + 1):
            if number < start:
                continue
            try:
                cells = row.decode("utf-8").split("\t")
            except UnicodeDecodeError as error:
                raise DataError(f"{path}: line {number}: not UTF-8 text: {error}") from error
            if len(cells) != len(names):
                raise DataError(f"{path}: line {number}: {len(cells)} cells, the header has {len(names)}")
            for column, (name, cell) in enumerate(zip(names, cells, strict=True), start=1):
                if what := _fault(name, cell, header, non_negative):
                    raise DataError(f"{path}: line {number}, column {column} ({name}): {what}, found {cell[:80]!r}")
        line += len(rows)
    raise DataError(f"{path}: not a matrix of numbers: {cause}") from cause


def _fault(name: str, cell: str, header: Header, non_negative: bool) -> str | None:
    """Return what is wrong with a cell, or None."""
    if name not in header.text:
        return text.fault_of_number(cell, non_negative)
    if not header.text[name]:
        return None
    cell = text.clean(cell)
    if name in header.ids:
        if IDS.fullmatch(cell):
            return None
        return "a spreadsheet has made a date of a gene id" if text.is_date(cell) else "not a gene id"
    if what := text.fault_of_cell(cell):
        return what
    if name != header.key:
        return None
    return "empty cell" if not cell else fault_of_symbol(cell) if header.key_is_symbol else None


class Matrix:
    """A converted matrix: genes in rows, samples in columns. No file stays open: there may be ten thousand.

    source_file : the raw file, for messages and the drop log. samples : names of its columns after `text`.
    n_cleaned : text cells that had blanks or quotes around them, which are gone.
    """

    def __init__(self, path: Path, text_columns: Sequence[str], source_file: str = "") -> None:
        """Read the names of `path`, whose first columns must be `text_columns`; DataError if they are not."""
        footer = pq.read_metadata(path)
        names = footer.schema.to_arrow_schema().names
        n_text = len(text_columns)
        if tuple(names[:n_text]) != tuple(text_columns):
            raise DataError(f"{path}: the first columns must be {tuple(text_columns)}, found {tuple(names[:n_text])}")
        self.path = Path(path)
        self.source_file = source_file
        self.samples = names[n_text:]
        self.n_cleaned = int((footer.metadata or {}).get(CLEANED.encode(), 0))
        self._text = names[:n_text]

    @property
    def title(self) -> str:
        """The raw file and the converted one, for messages."""
        return f"{self.source_file} ({self.path})"

    def text(self) -> pa.Table:
        """Read the text columns, one row per gene."""
        return pq.read_table(self.path, columns=self._text)

    def values(self, samples: Sequence[str]) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Yield (rows, places in `samples`, values (samples, rows) float32), some of each at a time."""
        start = 0
        with pq.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):
                n = file.metadata.row_group(group).num_rows
                for first in range(0, len(samples), COLUMNS):
                    chosen = list(samples[first : first + COLUMNS])
                    table = file.read_row_group(group, columns=chosen, use_threads=False).select(chosen)
                    values = np.stack([column.to_numpy() for column in table.columns])
                    yield slice(start, start + n), slice(first, first + len(chosen)), values
                start += n

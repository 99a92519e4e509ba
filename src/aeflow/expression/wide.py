"""Large matrices, genes in rows, block by block: text to Parquet without holding the file, and back.

The numbers of a block are parsed as one column, because a reader's cost per column would otherwise dominate: these
files have up to 20,000 columns.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from aeflow.errors import DataError
from aeflow.expression.text import line_blocks
from aeflow.files import atomic_path

ROWS = 4096  # genes per row group: small in memory, and a footer of 20,000 columns stays readable
COLUMNS = 1024  # samples read from Parquet at a time
LARGEST = float(np.finfo(np.float32).max)
NUMBER = re.compile(rb" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Header:
    """What stands above the numbers: `text`, {name in the file: name in the Parquet file or None to leave it out}, the
    leading columns; `samples`, the others; `n_lines` above the first row; `n_rows`, how many rows are promised."""

    text: Mapping[str, str | None]
    samples: Sequence[str]
    n_lines: int
    n_rows: int | None = None


def convert_matrix(path: Path, out: Path, header: Header, *, non_negative: bool) -> None:
    """Write a matrix as uncompressed Parquet: the text columns, then one float32 column per sample; genes in rows.

    Memory: one row group of `ROWS` genes and one block of text, whatever the number of genes.

    Raises
    ------
    DataError : naming file, line and column, for anything but a full matrix of finite (and, if asked, non-negative)
        numbers, for a first text column that repeats a value, and for another number of rows than promised.
    """
    stored = [name for name in header.text.values() if name]
    schema = pa.schema([(name, pa.string()) for name in stored] + [(name, pa.float32()) for name in header.samples])
    buffer = np.empty((len(header.samples), ROWS), dtype=np.float32)
    labels: list[list[str]] = []
    seen: dict[str, int] = {}
    key = next(i for i, name in enumerate(header.text.values()) if name)
    keep = [i for i, name in enumerate(header.text.values()) if name]
    with (
        atomic_path(out) as tmp,
        pq.ParquetWriter(tmp, schema, compression="none", use_dictionary=False, write_statistics=False) as writer,
    ):
        for first, texts, values in _parsed(path, header, non_negative):
            for offset, row in enumerate(texts):
                if row[key] in seen:
                    name, line = list(header.text)[key], first + offset
                    raise DataError(
                        f"{path}: line {line}, column {key + 1} ({name}): {row[key]!r} stands on line "
                        f"{seen[row[key]]}, too"
                    )
                seen[row[key]] = first + offset
            done = 0
            while done < len(texts):
                start = len(labels)
                n = min(ROWS - start, len(texts) - done)
                buffer[:, start : start + n] = values[done : done + n].T
                labels += [[row[i] for i in keep] for row in texts[done : done + n]]
                done += n
                if len(labels) == ROWS:
                    _write_group(writer, schema, labels, buffer)
                    labels = []
        if labels:
            _write_group(writer, schema, labels, buffer)
        if header.n_rows is not None and len(seen) != header.n_rows:
            raise DataError(f"{path}: the header promises {header.n_rows} rows, {len(seen)} follow")
        if not seen:
            raise DataError(f"{path}: no rows after the header")


def _write_group(writer: pq.ParquetWriter, schema: pa.Schema, labels: list[list[str]], buffer: np.ndarray) -> None:
    columns = [pa.array(column, pa.string()) for column in zip(*labels, strict=True)]
    columns += [pa.array(row[: len(labels)]) for row in buffer]
    writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _parsed(path: Path, header: Header, non_negative: bool) -> Iterator[tuple[int, list[list[str]], np.ndarray]]:
    """Yield (number of the first line, text cells, values (rows, samples) float32) of each block."""
    n_text, n_samples, line = len(header.text), len(header.samples), 1
    for lines in line_blocks(path):
        first = max(line, header.n_lines + 1)
        rows = lines[first - line :]
        line += len(lines)
        if not rows:
            continue
        cells = [row.split(b"\t", n_text) for row in rows]
        if any(len(c) <= n_text or c[n_text].count(b"\t") != n_samples - 1 for c in cells):
            _locate(path, first, rows, header, non_negative, None)
        try:
            values = _numbers(b"\n".join([c[n_text] for c in cells]).replace(b"\t", b"\n"))
        except pa.ArrowInvalid as error:
            _locate(path, first, rows, header, non_negative, error)
        low = 0.0 if non_negative else -np.inf
        if values.size != len(rows) * n_samples or not (values.min() >= low and np.isfinite(values).all()):
            _locate(path, first, rows, header, non_negative, None)
        try:
            texts = [[cell.decode("utf-8") for cell in c[:n_text]] for c in cells]
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: lines {first} to {first + len(rows) - 1}: not UTF-8 text: {error}") from error
        yield first, texts, values.reshape(len(rows), n_samples)


def _numbers(text: bytes) -> np.ndarray:
    """Parse one number a line; ArrowInvalid where one is none, NaN where a line is empty."""
    table = pa.csv.read_csv(
        pa.BufferReader(text + b"\n"),
        read_options=pa.csv.ReadOptions(use_threads=False, column_names=["value"], block_size=len(text) + 1),
        parse_options=pa.csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False),
        convert_options=pa.csv.ConvertOptions(column_types={"value": pa.float32()}, null_values=[""]),
    )
    return table.column("value").combine_chunks().to_numpy(zero_copy_only=False)


def _locate(
    path: Path, first: int, rows: list[bytes], header: Header, non_negative: bool, cause: Exception | None
) -> NoReturn:
    """Raise DataError naming the first offending cell of a block; the fast parser knows only that there is one."""
    names = [*header.text, *header.samples]
    for number, row in enumerate(rows, start=first):
        cells = row.split(b"\t")
        if len(cells) != len(names):
            raise DataError(f"{path}: line {number}: {len(cells)} cells, the header has {len(names)}")
        for column, cell in enumerate(cells[len(header.text) :], start=len(header.text)):
            what = None
            if not NUMBER.fullmatch(cell):
                what = "not a finite number" if cell else "empty cell"
            elif abs(float(cell)) > LARGEST:
                what = "not a finite float32"
            elif non_negative and float(cell) < 0:
                what = "negative value"
            if what:
                found = cell[:80].decode("utf-8", "replace")
                raise DataError(
                    f"{path}: line {number}, column {column + 1} ({names[column]}): {what}, found {found!r}"
                )
    raise DataError(f"{path}: lines {first} to {first + len(rows) - 1}: not a matrix of numbers: {cause}") from cause


class Matrix:
    """A converted matrix: its sample names and text columns, its values read block by block."""

    def __init__(self, path: Path, text: Sequence[str]) -> None:
        """Open `path`, whose first columns must be `text`; DataError if they are not."""
        self.path = Path(path)
        self._file = pq.ParquetFile(path)
        names = self._file.schema_arrow.names
        if tuple(names[: len(text)]) != tuple(text):
            raise DataError(f"{path}: the first columns must be {tuple(text)}, found {tuple(names[: len(text)])}")
        self.samples = names[len(text) :]
        self._text = list(text)

    @functools.cached_property
    def text(self) -> pd.DataFrame:
        """The text columns, one row per gene."""
        return self._file.read(columns=self._text).to_pandas()

    def values(self, samples: Sequence[str]) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Yield (rows, places in `samples`, values (samples, rows) float32), some of each at a time."""
        start = 0
        for group in range(self._file.num_row_groups):
            n = self._file.metadata.row_group(group).num_rows
            for c in range(0, len(samples), COLUMNS):
                chosen = list(samples[c : c + COLUMNS])
                table = self._file.read_row_group(group, columns=chosen, use_threads=False).select(chosen)
                yield (
                    slice(start, start + n),
                    slice(c, c + len(chosen)),
                    np.stack([column.to_numpy() for column in table.columns]),
                )
            start += n


def collapse(
    matrix: Matrix,
    samples: Sequence[str],
    groups: np.ndarray,
    X: np.ndarray,
    transform: Callable[[np.ndarray, slice], np.ndarray],
) -> None:
    """Fill X (samples, n_vars), zeros before, with the values of `samples`; rows of one variable are summed.

    Parameters
    ----------
    groups : (rows of the matrix,) variable of each row; -1 leaves it out.
    transform : called with values (samples, genes) as stored and their places in `samples`; returns them linear.
    """
    _, firsts = np.unique(groups, return_index=True)
    is_first = np.zeros(len(groups), dtype=bool)
    is_first[firsts] = True
    for rows, places, values in matrix.values(samples):
        linear, wanted = transform(values, places), groups[rows]
        once = np.flatnonzero(is_first[rows] & (wanted >= 0))
        X[places, wanted[once]] = linear[:, once]
        for i in np.flatnonzero(~is_first[rows] & (wanted >= 0)):
            X[places, wanted[i]] += linear[:, i]

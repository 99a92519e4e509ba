"""Tab-separated sheets about samples and genes, and what all sample sheets have in common."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from aeflow.errors import DataError
from aeflow.expression import aliquots, text
from aeflow.files import write_frame

if TYPE_CHECKING:
    from aeflow.expression.wide import Matrix

logger = logging.getLogger(__name__)


def read_sheet(path: Path, columns: Sequence[str], *, latin1: bool = False) -> pd.DataFrame:
    """Return `columns` of a tab-separated sheet, gzipped or not, as clean text (`text.clean`).

    A ``#`` before the first column name is ignored. Quotes never join cells or lines: in columns that nobody asks for,
    such as GTEx's free text, they mean nothing.

    Parameters
    ----------
    latin1 : read a sheet that is not UTF-8 as Latin-1 (and say so in the log) instead of refusing it.

    Raises
    ------
    DataError : naming file and line, for a missing column, a line of another length, a stray quote or control character
        in one of `columns`, or a sheet without rows.
    """
    data, encoding = b"".join(text.blocks(Path(path))), "utf-8"
    if latin1:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            logger.warning("%s: not UTF-8 text (%s): read as Latin-1", path, error)
            encoding = "latin-1"
    first, *lines = text.decoded(data, path, encoding) or [""]
    names = text.split_header(first.removeprefix("#"), f"{path}: line 1")
    missing = [column for column in columns if column not in names]
    if missing:
        raise DataError(f"{path}: line 1: no column {missing[0]!r}; it has {', '.join(names)[:300]}")
    places, rows = [names.index(column) for column in columns], []
    for number, line in enumerate(lines, start=2):
        cells = line.split("\t")
        if len(cells) != len(names):
            raise DataError(f"{path}: line {number}: {len(cells)} cells, the header has {len(names)}")
        row = [text.clean(cells[place]) for place in places]
        for place, cell in zip(places, row, strict=True):
            if what := text.fault_of_cell(cell):
                raise DataError(
                    f"{path}: line {number}, column {place + 1} ({names[place]}): {what}, found {cell[:80]!r}"
                )
        rows.append(row)
    if not rows:
        raise DataError(f"{path}: no rows after the header")
    return pd.DataFrame(rows, columns=list(columns)).astype("str")


def convert_sheet(path: Path, out: Path, columns: Sequence[str], *, latin1: bool = False) -> None:
    """Write `columns` of a sheet as Parquet, all text; see `read_sheet`."""
    write_frame(read_sheet(path, columns, latin1=latin1), out)


def rows_by(path: Path, key: str, name: str) -> dict[str, dict[str, str]]:
    """Return the rows of a converted sheet by column `key`; DataError, naming the sheet, if a value occurs twice."""
    frame = pd.read_parquet(path)
    twice = frame[key][frame[key].duplicated()]
    if len(twice):
        raise DataError(f"{name}: {key} {twice.iloc[0]!r} occurs more than once")
    return {row[key]: row for row in frame.to_dict("records")}


def samples_of(matrices: Mapping[str, Matrix]) -> Iterator[tuple[str, str]]:
    """Yield (key of the matrix, sample id) in the order of both; DataError, naming the files, for a sample in two."""
    seen: dict[str, str] = {}
    for key in sorted(matrices):
        file = matrices[key].source_file
        for sample in sorted(matrices[key].samples):
            if sample in seen:
                raise DataError(f"{file}: sample {sample!r} is in {seen[sample]}, too")
            seen[sample] = file
            yield key, sample


class SampleSheet:
    """The samples of a cohort, in the order they were added, and which were left out, and why."""

    def __init__(self) -> None:
        self._rows: list[dict[str, str]] = []
        self._left_out: list[tuple] = []

    def add(self, row: Mapping[str, str], *, matrix: str, column: str, source_file: str) -> None:
        """Add a sample: its columns of obs and piece, the matrix and the column that hold it, the raw file."""
        self._rows.append({**row, "matrix": matrix, "column": column, "source_file": source_file})

    def leave_out(self, sample_id: str, reason: str, source_file: str) -> None:
        """Log a sample that does not belong to the cohort."""
        self._left_out.append(("obs", sample_id, reason, float("nan"), source_file))

    def finish(self, name: str) -> tuple[pd.DataFrame, list[tuple]]:
        """Return obs with one aliquot per sample, and rows of the drop log, the other aliquots among them.

        expression/aliquots.py says which aliquot is kept. DataError, beginning with `name`, if no sample is left.
        """
        if self._rows:
            obs = pd.DataFrame(self._rows)
            kept, reasons = aliquots.choose(obs)
            for sample, file in zip(obs["sample_id"], obs["source_file"], strict=True):
                if sample in reasons:
                    self.leave_out(sample, reasons[sample], file)
            if kept.any():
                return obs[kept].drop(columns="piece").reset_index(drop=True), self._left_out
        reasons = Counter(row[2] for row in self._left_out).most_common(5)
        found = ", ".join(f"{reason} ({n})" for reason, n in reasons) or "none, the file is empty"
        raise DataError(f"{name}: no sample is left; left out: {found}")

"""Tab-separated sheets about samples and genes, and what all sample sheets have in common."""

from __future__ import annotations

import io
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from aeflow.errors import DataError
from aeflow.expression.text import blocks
from aeflow.files import write_frame

logger = logging.getLogger(__name__)


def split_header(line: str, where: str) -> list[str]:
    """Return the names in a header line; DataError beginning with `where` if one is empty or occurs twice."""
    names = line.rstrip("\r\n").split("\t")
    if len(set(names)) < len(names):
        name, n = Counter(names).most_common(1)[0]
        raise DataError(f"{where}, column {names.index(name) + 1}: name {name!r} occurs {n} times")
    if "" in names:
        raise DataError(f"{where}, column {names.index('') + 1}: empty column name")
    return names


def read_sheet(path: Path, columns: Sequence[str], *, latin1: bool = False) -> pd.DataFrame:
    """Return `columns` of a tab-separated sheet, gzipped or not, as text without blanks at the ends of a cell.

    A ``#`` before the first column name is ignored. Double quotes around a cell, as around GTEx's free text, are
    part of it.

    Parameters
    ----------
    latin1 : read a sheet that is not UTF-8 as Latin-1 (and say so in the log) instead of refusing it.

    Raises
    ------
    DataError : naming file and line, for a missing column, a line of another length, or a sheet without rows.
    """
    data = b"".join(blocks(Path(path)))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not latin1:
            raise DataError(f"{path}: not UTF-8 text: {error}") from error
        logger.warning("%s: not UTF-8 text (%s): read as Latin-1", path, error)
        text = data.decode("latin-1")
    lines = io.StringIO(text)
    names = split_header(lines.readline().removeprefix("#"), f"{path}: line 1")
    missing = [column for column in columns if column not in names]
    if missing:
        raise DataError(f"{path}: line 1: no column {missing[0]!r}; it has {', '.join(names)[:300]}")
    places, rows = [names.index(column) for column in columns], []
    for number, line in enumerate(lines, start=2):
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) != len(names):
            raise DataError(f"{path}: line {number}: {len(cells)} cells, the header has {len(names)}")
        rows.append([cells[place].strip() for place in places])
    if not rows:
        raise DataError(f"{path}: no rows after the header")
    return pd.DataFrame(rows, columns=list(columns)).astype("str")


def convert_sheet(path: Path, out: Path, columns: Sequence[str], *, latin1: bool = False) -> None:
    """Write `columns` of a sheet as Parquet, all text; see `read_sheet`."""
    write_frame(read_sheet(path, columns, latin1=latin1), out)


def one_per_piece(rows: Sequence[dict[str, str]], dropped: list[tuple], name: str) -> tuple[pd.DataFrame, list[tuple]]:
    """Return obs with one aliquot per physical sample, and `dropped` with the others added.

    Of several aliquots of one sample (equal `piece`) the one whose barcode sorts last is kept: for TCGA the highest
    portion and plate, the rule of Broad's Firehose.

    Parameters
    ----------
    rows : columns of obs, piece and source_file; `name` : for the message if there is none, which is a DataError.
    """
    if not rows:
        reasons = ", ".join(f"{reason} ({n})" for reason, n in Counter(row[2] for row in dropped).most_common(5))
        raise DataError(f"{name}: no sample is left; left out: {reasons or 'none, the file is empty'}")
    obs = pd.DataFrame(rows)
    kept = obs.groupby("piece", sort=False)["sample_id"].transform("max")
    extra = (obs["sample_id"] != kept).to_numpy()
    more = [
        ("obs", sample_id, f"another aliquot of the sample is kept: {other}", float("nan"), source_file)
        for sample_id, other, source_file in zip(
            obs["sample_id"][extra], kept[extra], obs["source_file"][extra], strict=True
        )
    ]
    return obs[~extra].drop(columns="piece").reset_index(drop=True), [*dropped, *more]

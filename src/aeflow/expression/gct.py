"""GCT, the matrix format of GTEx: versions 1.2 and 1.3, columns found by name, header held against the body."""

from __future__ import annotations

from pathlib import Path

from aeflow.errors import DataError
from aeflow.expression.text import WHOLE, read_lines, split_header
from aeflow.expression.wide import Header

VERSIONS = {"#1.2": 2, "#1.3": 4}  # first line -> numbers on the second
COLUMNS = {"Name": "gene_id", "Description": "symbol"}  # name in the file -> name in Parquet
INDEX = "id"  # a further leading column of GTEx's files by tissue: a row number, or in 1.3 the name itself


def read_gct_header(path: Path) -> Header:
    """Return what the first lines of a GCT file say.

    Line 1 is the version, line 2 has rows and samples (in 1.3 also how many further text columns and rows there are),
    line 3 the column names. Text columns lead, in any order; they are recognised by name, in 1.3 also by number.

    Raises
    ------
    DataError : naming file, line and value, for another version, a missing column, or another number of samples than
        line 2 says. Another number of rows than it says is found by `wide.convert_matrix`: so shows an excerpt, or a
        file that was cut off.
    """
    version, sizes = read_lines(path, 2)
    if version.strip() not in VERSIONS:
        raise DataError(f"{path}: line 1: expected {' or '.join(VERSIONS)}, found {version[:80]!r}")
    numbers = sizes.strip().split("\t")
    if len(numbers) != VERSIONS[version.strip()] or not all(map(WHOLE.fullmatch, numbers)):
        raise DataError(f"{path}: line 2: expected {VERSIONS[version.strip()]} numbers, found {sizes[:80]!r}")
    n_rows, n_samples, n_text, n_above = (*map(int, numbers), 0, 0)[:4]
    names = split_header(read_lines(path, 3)[2], f"{path}: line 3")
    leading = 1 + n_text if version.strip() == "#1.3" else _n_leading(names)
    text = {name: COLUMNS.get(name) for name in names[:leading]}
    if INDEX in text and "Name" not in text:
        text[INDEX] = "gene_id"
    for name, stored in COLUMNS.items():
        if stored not in text.values():
            raise DataError(f"{path}: line 3: no column {name!r} among {', '.join(names[: max(leading, 3)])}")
    samples = names[leading:]
    if len(samples) != n_samples:
        raise DataError(f"{path}: line 2 says {n_samples} samples, line 3 names {len(samples)}")
    return Header(text, samples, n_lines=3 + n_above, names_line=3, n_rows=n_rows)


def _n_leading(names: list[str]) -> int:
    """Return how many of the first columns are text."""
    known = {INDEX, *COLUMNS}
    return next((i for i, name in enumerate(names) if name not in known), len(names))

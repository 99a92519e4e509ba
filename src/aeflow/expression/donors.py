"""GTEx's donor sheet (SubjectPhenotypesDS): sex and age bracket of each donor."""

from __future__ import annotations

from pathlib import Path

from aeflow.errors import DataError
from aeflow.expression.sheets import convert_sheet, rows_by

COLUMNS = ("SUBJID", "SEX", "AGE", "DTHHRDY")
SEXES = {"1": "male", "2": "female", "": ""}


def convert_donors(path: Path, out: Path) -> None:
    """Write the sheet as Parquet, all text; DataError if it lacks one of `COLUMNS`."""
    convert_sheet(path, out, COLUMNS)


def read_donors(path: Path) -> dict[str, dict[str, str]]:
    """Return donor id -> {sex: male, female or blank, age_bracket: decade such as 60-69} of a converted sheet."""
    found = {}
    for donor, row in rows_by(path, "SUBJID", str(path)).items():
        if row["SEX"] not in SEXES:
            raise DataError(f"{path}: donor {donor!r}: SEX must be 1, 2 or blank, found {row['SEX']!r}")
        found[donor] = {"sex": SEXES[row["SEX"]], "age_bracket": row["AGE"]}
    return found

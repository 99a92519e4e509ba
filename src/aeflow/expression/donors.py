"""GTEx's donor sheet (SubjectPhenotypesDS): sex and age bracket of each donor."""

from __future__ import annotations

import re
from pathlib import Path

from aeflow.errors import DataError
from aeflow.expression.sheets import convert_sheet, rows_by
from aeflow.expression.text import date_note
from aeflow.labels import UNLABELLED

COLUMNS = ("SUBJID", "SEX", "AGE", "DTHHRDY")
SEXES = {"1": "male", "2": "female"}
AGE = re.compile(r"(?P<tens>\d)0-(?P=tens)9", re.ASCII)  # a decade


def convert_donors(path: Path, out: Path) -> None:
    """Write the sheet as Parquet, all text; DataError if it lacks one of `COLUMNS`."""
    convert_sheet(path, out, COLUMNS)


def read_donors(path: Path) -> dict[str, dict[str, str]]:
    """Return donor id -> {sex: male or female, age_bracket: decade such as 60-69} of a converted sheet.

    Both are blank where they are unknown. DataError, naming the donor, for another sex and for another age, such as a
    date that a spreadsheet has made of it.
    """
    found = {}
    for donor, row in rows_by(path, "SUBJID", str(path)).items():
        sex, age = (row[key] if row[key].lower() not in UNLABELLED else "" for key in ("SEX", "AGE"))
        if sex and sex not in SEXES:
            raise DataError(f"{path}: donor {donor!r}: SEX must be 1, 2 or blank, found {sex!r}")
        if age and not AGE.fullmatch(age):
            raise DataError(
                f"{path}: donor {donor!r}: AGE must be a decade (60-69) or blank, found {age!r}{date_note(age)}"
            )
        found[donor] = {"sex": SEXES.get(sex, ""), "age_bracket": age}
    return found

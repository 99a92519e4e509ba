"""The tables of metrics in docs/evaluation.md, written from the declarations.

    python -m aeflow.evaluation.metric_tables [docs/evaluation.md]

A table stands between two HTML comments that name its part; text around them is kept. A part
without a place in the file gets one at its end.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import aeflow.comparison
import aeflow.evaluation
from aeflow.errors import DataError
from aeflow.evaluation.metric import Declaration, declarations
from aeflow.files import atomic_path

PAGE = Path("docs/evaluation.md")
BEGIN, END = "<!-- metrics of {part} -->", "<!-- end of {part} -->"
_PLACE = re.compile(r"<!-- metrics of (?P<part>\S+) -->\n(?P<table>.*?)<!-- end of (?P=part) -->", re.DOTALL)


def every_declaration() -> list[Declaration]:
    """Return the declarations of all evaluations and of what compares runs, sorted by part and name."""
    for package in (aeflow.evaluation, aeflow.comparison):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    return sorted(declarations(), key=lambda about: (about.part, about.name))


def better(about: Declaration) -> str:
    """Return the direction of a metric in words, and that of a batch column where it differs."""
    words = {"higher": "higher", "lower": "lower", "none": "-"}
    if about.of_batch in (None, about.direction):
        return words[about.direction]
    return f"{words[about.direction]}; of a batch column: {words[about.of_batch]}"


def table(declared: Iterable[Declaration]) -> str:
    """Return the Markdown table of the metrics of one part."""
    lines = ["| metric | better | meaning |", "|---|---|---|"]
    for about in declared:
        meaning = about.meaning.replace("|", "\\|")
        lines.append(f"| `{about.name}` | {better(about)} | {meaning} |")
    return "\n".join(lines) + "\n"


def documented(page: str, declared: Iterable[Declaration]) -> str:
    """Return the text of the page with the tables that follow from the declarations.

    DataError if a part has two places, or the page has a place for a part that declares nothing.
    """
    of_part: dict[str, list[Declaration]] = {}
    for about in declared:
        of_part.setdefault(about.part, []).append(about)
    places = [place["part"] for place in _PLACE.finditer(page)]
    for part in places:
        if places.count(part) > 1:
            raise DataError(f"the metrics of {part!r} have {places.count(part)} places; one is needed")
        if part not in of_part:
            raise DataError(f"there is a place for the metrics of {part!r}, but none is declared")
    for part in of_part:
        if part not in places:
            page += f"\n## `{part}`\n{BEGIN.format(part=part)}\n{END.format(part=part)}\n"

    def filled(place: re.Match[str]) -> str:
        part = place["part"]
        # Markdown takes a line right below a comment for a part of it
        return f"{BEGIN.format(part=part)}\n\n{table(of_part[part])}\n{END.format(part=part)}"

    return _PLACE.sub(filled, page)


def main(path: Path) -> None:
    """Write the tables of the page anew."""
    page = documented(path.read_text(), every_declaration())
    with atomic_path(path) as tmp:
        tmp.write_text(page)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE)

"""docs/evaluation.md: its tables follow from the declarations."""

from pathlib import Path

import pytest

from aeflow.errors import DataError
from aeflow.evaluation.metric import Declaration
from aeflow.evaluation.metric_tables import documented, every_declaration, main

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"
SPEED = Declaration("mine", "speed", "higher", "Rows a second | per core.")
FOUND = Declaration("mine", "found", "higher", "Read off latents.", of_batch="lower")
PLACE = "<!-- metrics of mine -->\nold\n<!-- end of mine -->\n"


def test_the_page_is_up_to_date():
    """Breaks if a metric was declared, renamed or turned round and its documentation was not written anew."""
    page = PAGE.read_text()
    wanted = documented(page, every_declaration())
    assert page == wanted, "docs/evaluation.md is stale: run `python -m aeflow.evaluation.metric_tables`"


def test_every_declaration_is_found():
    """Breaks if a module with declarations is not imported: its metrics would be undocumented."""
    found = {(about.part, about.name) for about in every_declaration()}
    assert {("representation", "cka"), ("anomaly", "auroc"), ("augmentation", "n_added")} <= found
    assert len(found) == len(every_declaration())


def test_prose_stays_and_tables_are_new(tmp_path):
    """Breaks if what a person wrote is lost, an old table stays, or a batch column's direction is not shown."""
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n\n{PLACE}\nAfter.\n")
    text = documented(page.read_text(), [FOUND, SPEED])
    assert text.startswith("Before.\n\n<!-- metrics of mine -->\n") and text.endswith(
        "<!-- end of mine -->\n\nAfter.\n"
    )
    assert "| `found` | higher; of a batch column: lower | Read off latents. |\n" in text
    assert "| `speed` | higher | Rows a second \\| per core. |\n" in text and "old" not in text
    assert documented(text, [FOUND, SPEED]) == text  # once written, always the same


def test_a_new_part_gets_a_place():
    """Breaks if an evaluation that was just added is left out because nobody made a place for it."""
    text = documented("Only prose.\n", [SPEED])
    assert text.startswith("Only prose.\n\n## `mine`\n") and "| `speed` |" in text
    assert documented(text, [SPEED]) == text


def test_places_that_cannot_be_filled_are_named():
    """Breaks if the table of a part that is gone stays, or a part is documented twice."""
    with pytest.raises(DataError, match="a place for the metrics of 'mine', but none is declared"):
        documented(PLACE, [])
    with pytest.raises(DataError, match="the metrics of 'mine' have 2 places; one is needed"):
        documented(PLACE * 2, [SPEED])


def test_the_command_writes_the_file(tmp_path):
    """Breaks if the file that the message of a stale page tells to write is not the one that is compared."""
    page = tmp_path / "evaluation.md"
    text = PAGE.read_text()
    page.write_text(text.replace("| `mse` |", "| `rmse` |"))
    main(page)
    assert page.read_text() == text

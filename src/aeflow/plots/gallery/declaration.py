"""What a gallery figure declares of itself: a decorator of literals, which planning reads without running the file.

Nothing heavy is imported here: Snakemake reads declarations at its start (`aeflow.plan.figures`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Declaration:
    """What a figure needs and shows.

    caption : what to see in the figure, reStructuredText.
    observations : what it can show, "images", "expression" or "any".
    roles : role -> class or abstract base that its model must have, "any" for all models; {} takes any roles, whose
        models are all drawn alike.
    scores, task : whether it reads the scores of its runs, and whether it needs a task.
    """

    caption: str
    observations: str = "any"
    roles: Mapping[str, str] = field(default_factory=dict)
    scores: bool = False
    task: bool = False

    def __post_init__(self) -> None:
        if self.observations not in ("any", "images", "expression"):
            raise ValueError(f"observations must be 'any', 'images' or 'expression', found {self.observations!r}")


def gallery_figure(**declared: Any) -> Callable:
    """Mark a function of `Material` as a gallery figure; the keywords are those of `Declaration`, all literals."""
    declaration = Declaration(**declared)

    def mark(function: Callable) -> Callable:
        function.declaration = declaration
        return function

    return mark

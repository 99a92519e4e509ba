"""The grid of runs that a checked configuration asks for, and what it asks of the rows of a dataset.

Jobs read it, too, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Cell(NamedTuple):
    """One training: a row of the experiment grid."""

    dataset: str
    view: str
    model: str
    seed: int


def cells(config: Mapping[str, Any]) -> list[Cell]:
    """Return every cell of every experiment once, in a stable order."""
    found = {
        Cell(dataset, view, model, seed)
        for experiment in config["experiments"].values()
        for dataset in experiment["datasets"]
        for view in experiment["views"]
        for model in experiment["models"]
        for seed in experiment["seeds"]
    }
    return sorted(found)


def asked_of_rows(dataset: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything of a configuration that needs rows of a dataset: views, tasks, labels, judge and conditions.

    conditions : model -> columns that it is given, and views that it is trained on.
    """
    block = config["datasets"][dataset]
    of_dataset = [cell for cell in cells(config) if cell.dataset == dataset]
    views = {cell.view for cell in of_dataset} | ({block["fit_on"]} if "fit_on" in block else set())
    conditions: dict[str, dict[str, list[str]]] = {}
    for cell in of_dataset:
        columns = config["models"][cell.model].get("condition_on")
        if columns:
            of_model = conditions.setdefault(cell.model, {"columns": columns, "views": []})
            of_model["views"] = sorted({*of_model["views"], cell.view})
    run = {cell.view for cell in of_dataset}
    tasks = {
        name: task | {"views": [view for view in task["views"] if view in run]}
        for name, task in config["tasks"].items()
        if dataset in task["datasets"]
    }
    return {
        "views": {name: config["views"][name] for name in sorted(views)},
        "tasks": tasks,
        "labels": block["labels"],
        "judge": block["generate"].get("judge"),
        "conditions": conditions,
    }

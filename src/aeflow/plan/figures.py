"""Gallery figures as their files declare them; the files are read, not run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from aeflow.errors import ConfigError
from aeflow.plan.cells import cells, kind, tasks_of
from aeflow.plan.source_code import PACKAGE, class_info
from aeflow.plan.spelling import hint
from aeflow.plots.gallery.declaration import Declaration, gallery_figure

FOLDER = PACKAGE / "plots" / "gallery"


@cache
def figures() -> dict[str, Declaration]:
    """Return {file.function: declaration} of every gallery figure, sorted.

    Raises ConfigError, naming file and line, for a declaration that is not made of literals or has a wrong keyword.
    """
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.parse(path.read_text(), str(path)).body:
            if isinstance(node, ast.FunctionDef):
                for decorator in node.decorator_list:
                    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == gallery_figure.__name__:
                        where = f"plots/gallery/{path.name}, line {decorator.lineno}"
                        found[f"{path.stem}.{node.name}"] = _declaration(decorator, where)
    return found


def _declaration(decorator: ast.Call, where: str) -> Declaration:
    try:
        return Declaration(**{keyword.arg: ast.literal_eval(keyword.value) for keyword in decorator.keywords})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: a gallery figure is declared by literal keywords: {error}") from None


def declared(name: str) -> Declaration:
    """Return the declaration of the figure `name`, file.function; ConfigError if there is none."""
    _known(name, figures(), "gallery figure")
    return figures()[name]


def check_gallery(config: Mapping[str, Any]) -> None:
    """Raise ConfigError, naming key and value, for a gallery that could not be drawn."""
    for dataset, entry in config["gallery"].items():
        key = f"gallery.{dataset}"
        _known(dataset, config["datasets"], "gallery")
        _known(entry["view"], config["views"], f"{key}.view")
        if "task" in entry:
            _known(entry["task"], tasks_of(dataset, entry["view"], config), f"{key}.task")
        for name, roles in entry["figures"].items():
            _check_figure(dataset, name, roles, config)


def _check_figure(dataset: str, name: str, roles: Mapping[str, str], config: Mapping[str, Any]) -> None:
    entry = config["gallery"][dataset]
    moved = [figure for figure in figures() if figure.partition(".")[2] == name]
    if moved:
        raise ConfigError(f"gallery.{dataset}.figures: {name!r} must be named as file.function: {' or '.join(moved)}")
    _known(name, figures(), f"gallery.{dataset}.figures")
    needs = figures()[name]
    holds = kind(dataset, config)
    key = f"gallery.{dataset}.figures.{name}"
    if needs.observations not in ("any", holds):
        raise ConfigError(f"{key}: is a figure of {needs.observations}, {dataset!r} holds {holds}")
    if needs.task and "task" not in entry:
        raise ConfigError(f"{key}: needs the key gallery.{dataset}.task")
    if needs.roles and set(roles) != set(needs.roles):
        raise ConfigError(f"{key}: takes the roles {sorted(needs.roles)}, found {sorted(roles)}")
    runs = {cell.model for cell in cells(config) if (cell.dataset, cell.view) == (dataset, entry["view"])}
    for role, model in roles.items():
        _known(model, runs, f"{key}.{role}, run on {dataset} with view {entry['view']}")
        _check_role(model, needs.roles.get(role, "any"), f"{key}.{role}", config)


def _check_role(model: str, needed: str, key: str, config: Mapping[str, Any]) -> None:
    architecture = config["models"][model]["architecture"]
    if needed not in ("any", architecture.split(".")[1], *class_info(architecture).bases):
        raise ConfigError(f"{key}: must be a {needed}, but model {model!r} is a {architecture}")


def _known(value: str, names: Iterable[str], key: str) -> None:
    names = list(names)
    if value not in names:
        raise ConfigError(f"{key}: {value!r} does not exist{hint(value, names)}; there are {', '.join(names)}")

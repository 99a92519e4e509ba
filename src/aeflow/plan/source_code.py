"""Signatures, constants and imports, read from Python source without running it.

Snakemake therefore starts without importing torch, and a rule's `input.code` is complete by construction.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from annotated_types import Ge, Gt, Le, Lt

from aeflow.errors import ConfigError

PACKAGE = Path(__file__).parents[1]
_KINDS = (int, float, str, bool, list, dict, Mapping, Sequence, Literal, Annotated, Any, Ge, Gt, Le, Lt)
TYPES = {kind.__name__: kind for kind in _KINDS}  # what annotations of keywords are made of


class Keyword(NamedTuple):
    """A keyword-only argument: its annotation ("" without one), and whether it must be given."""

    annotation: str
    required: bool


@dataclass(frozen=True)
class ClassInfo:
    """Bases and keyword-only constructor arguments by name."""

    bases: tuple[str, ...]
    keywords: dict[str, Keyword]


def path_of(module: str) -> Path | None:
    """Return the file of a module such as "aeflow.models.vae", or None if there is none."""
    stem = PACKAGE.joinpath(*module.split(".")[1:])
    return next((p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.is_file()), None)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@cache
def class_info(architecture: str) -> ClassInfo:
    """Return what file.Class below aeflow.models declares; ConfigError if it does not exist."""
    module, name = architecture.rsplit(".", 1)
    path = path_of(f"aeflow.models.{module}")
    if path is None:
        known = ", ".join(
            sorted(p.stem for p in (PACKAGE / "models").glob("[a-z]*.py") if p.stem not in ("base", "build"))
        )
        raise ConfigError(f"architecture {architecture!r}: there is no file models/{module}.py; known: {known}")
    classes = {node.name: node for node in _tree(path).body if isinstance(node, ast.ClassDef)}
    if name not in classes:
        raise ConfigError(
            f"architecture {architecture!r}: models/{module}.py has no class {name}; it has {list(classes)}"
        )
    bases = tuple(ast.unparse(base) for base in classes[name].bases)
    init = next((f for f in classes[name].body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
    if init is None or not any(base.startswith("Abstract") for base in bases):
        raise ConfigError(f"architecture {architecture!r} is not a model: no __init__, or no Abstract... base")
    return ClassInfo(bases, _keywords(init))


def _keywords(function: ast.FunctionDef) -> dict[str, Keyword]:
    given = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return {a.arg: Keyword(ast.unparse(a.annotation) if a.annotation else "", default is None) for a, default in given}


@cache
def keywords_of(module: str, cls: str, method: str) -> dict[str, Keyword]:
    """Return the keyword-only arguments of a method by name, as its class declares it.

    {} where the class inherits the method. ConfigError if there is no such module or class.
    """
    path = path_of(module)
    if path is None:
        raise ConfigError(f"{module} does not exist")
    for node in _tree(path).body:
        if isinstance(node, ast.ClassDef) and node.name == cls:
            for function in node.body:
                if isinstance(function, ast.FunctionDef) and function.name == method:
                    return _keywords(function)
            return {}
    raise ConfigError(f"{module}: has no class {cls}")


@cache
def classes_with(module: str, method: str) -> tuple[str, ...]:
    """Return the classes of a module whose own body defines `method`, in order; abstract methods do not count."""
    return tuple(
        node.name
        for node in _tree(path_of(module)).body
        if isinstance(node, ast.ClassDef)
        for function in node.body
        if isinstance(function, ast.FunctionDef) and function.name == method
        if not any(ast.unparse(decorator).endswith("abstractmethod") for decorator in function.decorator_list)
    )


@cache
def constant(module: str, name: str) -> Any:
    """Return a module-level literal without running the module; ConfigError if the module does not define it.

    A name imported from another module of the package is looked up there; a tuple may unpack another constant.
    """
    for node in _tree(path_of(module)).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return _literal(module, node.value)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aeflow."):
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return constant(node.module, alias.name)
    raise ConfigError(f"{module} does not define {name}")


def _literal(module: str, node: ast.expr) -> Any:
    if not isinstance(node, ast.Tuple):
        return ast.literal_eval(node)
    values: list[Any] = []
    for item in node.elts:
        if isinstance(item, ast.Starred) and isinstance(item.value, ast.Name):
            values += constant(module, item.value.id)
        else:
            values.append(ast.literal_eval(item))
    return tuple(values)


@cache
def type_of(module: str, annotation: str) -> Any:
    """Return the type that an annotation means, as `module` writes it, without running the module.

    Names of types (`TYPES`) stand for themselves; others are looked up among the module's assignments and what it
    imports from the package. ConfigError for a name that is neither.
    """
    node = ast.parse(annotation, mode="eval")
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    known = {name: TYPES[name] if name in TYPES else _named_type(module, name) for name in names}
    return eval(compile(node, f"{module}: {annotation}", "eval"), {"__builtins__": {}}, known)


def _named_type(module: str, name: str) -> Any:
    for statement in _tree(path_of(module)).body:
        if isinstance(statement, ast.Assign) and any(ast.unparse(target) == name for target in statement.targets):
            return type_of(module, ast.unparse(statement.value))
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith("aeflow."):
            for alias in statement.names:
                if name == (alias.asname or alias.name):
                    return _named_type(statement.module, alias.name)
    raise ConfigError(f"{module}: the type {name!r} of a keyword is not known; there are {', '.join(TYPES)}")


@cache
def code_files(*modules: str) -> tuple[str, ...]:
    """Return the files of `modules` and of every aeflow module they import, at any depth, sorted.

    ConfigError if one of `modules` has no file: an edit of it would plan nothing.
    """
    absent = [module for module in modules if path_of(module) is None]
    if absent:
        raise ConfigError(f"{absent[0]} has no file in {PACKAGE}")
    todo, found = list(modules), {}
    while todo:
        module = todo.pop()
        path = path_of(module)
        if path is None or module in found:
            continue
        found[module] = str(path)
        todo += _imports(path)
    return tuple(sorted(set(found.values())))


def _imports(path: Path) -> list[str]:
    modules = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [m for m in modules if m.split(".")[0] == "aeflow" and m != "aeflow"]

"""Configuration files as they are written: a key that stands twice in one mapping would lose its first value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from aeflow.errors import ConfigError


def check_files(paths: Iterable[str | Path]) -> None:
    """Raise ConfigError, naming file, line and key, if a mapping of a JSON or YAML file has a key twice.

    Snakemake reads the files, and keeps the last value without a word.
    """
    for path in paths:
        text = Path(path).read_text(encoding="utf-8-sig")
        try:
            json.loads(text, object_pairs_hook=lambda pairs, path=path: _once(pairs, path))
        except json.JSONDecodeError:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            for mapping in _mappings(root, set()):
                _check(mapping, path)


def _once(pairs: list[tuple[str, Any]], path: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ConfigError(f"{path}: key {key!r} stands twice in one object: its first value would be lost")
        found[key] = value
    return found


def _mappings(node: yaml.Node | None, seen: set[int]) -> Iterator[yaml.MappingNode]:
    if node is None or id(node) in seen:  # an alias leads to a node that was looked at
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _mappings(value, seen)


def _check(mapping: yaml.MappingNode, path: str | Path) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in mapping.value:
        name = (key.tag, str(key.value))
        line = key.start_mark.line + 1
        if name in lines:
            first = f"line {lines[name]}, too: its value there would be lost"
            raise ConfigError(f"{path}, line {line}: key {key.value!r} stands on {first}")
        lines[name] = line

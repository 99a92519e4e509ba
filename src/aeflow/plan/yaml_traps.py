"""Configuration files as they are written: what YAML makes of them without a word.

A key that stands twice in one mapping loses its first value; 010 is 8, and 1:30 is 90.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from aeflow.errors import ConfigError

OTHER_BASE = re.compile(r"[-+]?(0[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")


def check_files(paths: Iterable[str | Path]) -> None:
    """Raise ConfigError, naming file, line and key, for what Snakemake reads of a JSON or YAML file as something else.

    A key that a mapping has twice; a number with a leading zero or with colons.
    """
    for path in paths:
        text = Path(path).read_text(encoding="utf-8-sig")
        try:
            json.loads(text, object_pairs_hook=lambda pairs, path=path: _once(pairs, path))
        except json.JSONDecodeError:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            for node in _nodes(root, set()):
                if isinstance(node, yaml.MappingNode):
                    _check(node, path)
                elif isinstance(node, yaml.ScalarNode):
                    _check_number(node, path)


def _once(pairs: list[tuple[str, Any]], path: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ConfigError(f"{path}: key {key!r} stands twice in one object: its first value would be lost")
        found[key] = value
    return found


def _nodes(node: yaml.Node | None, seen: set[int]) -> Iterator[yaml.Node]:
    if node is None or id(node) in seen:  # an alias leads to a node that was looked at
        return
    seen.add(id(node))
    yield node
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for part in pair:
                yield from _nodes(part, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _nodes(value, seen)


def _check_number(node: yaml.ScalarNode, path: str | Path) -> None:
    if node.tag.endswith((":int", ":float")) and OTHER_BASE.fullmatch(node.value):
        meant = yaml.safe_load(node.value)
        raise ConfigError(
            f"{path}, line {node.start_mark.line + 1}: {node.value} is {meant} to YAML; write a number without leading "
            "zero and colon, a text in quotes"
        )


def _check(mapping: yaml.MappingNode, path: str | Path) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in mapping.value:
        if key.tag.endswith(":merge"):  # of several merges all are used
            continue
        name = (key.tag, str(key.value))
        line = key.start_mark.line + 1
        if name in lines:
            first = f"line {lines[name]}, too: its value there would be lost"
            raise ConfigError(f"{path}, line {line}: key {key.value!r} stands on {first}")
        lines[name] = line

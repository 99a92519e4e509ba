"""Checks of the corrections that a configuration names.

The files of `src/aeflow/correction` are read, not run: Snakemake starts without importing NumPy or torch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aeflow.errors import ConfigError
from aeflow.plan.source_code import PACKAGE, Keyword, classes_with, keywords_of
from aeflow.plan.values import checked

NONE = "none"  # no correction


@dataclass(frozen=True)
class Choice:
    """A correction that a configuration asks for: its method, the keywords of its `fit`, and the key it stands at."""

    method: str
    options: Mapping[str, Any]
    key: str
    options_key: str  # a step of a chain has its options beside `method`, any other correction below `options`

    @classmethod
    def of(cls, entry: Any, key: str) -> Choice:
        """Return what an entry {method, options} asks for; ConfigError if it is none."""
        options = entry.get("options") if isinstance(entry, Mapping) else None
        if options is None:
            options = {}
        return cls(_method_of(entry, key), options, key, f"{key}.options")

    @classmethod
    def step(cls, entry: Any, key: str) -> Choice:
        """Return what a step {method, options of that method} asks for; ConfigError if it is none."""
        method = _method_of(entry, key)
        return cls(method, {name: value for name, value in entry.items() if name != "method"}, key, key)

    @property
    def module(self) -> str:
        """The module that `method` names."""
        return f"aeflow.correction.{self._file_and_class[0]}"

    @property
    def keywords(self) -> dict[str, Keyword]:
        """The options that `method` takes, by name."""
        return keywords_of(self.module, self._file_and_class[1], "fit")

    @property
    def _file_and_class(self) -> tuple[str, str]:
        file, _, name = ("none.NoCorrection" if self.method == NONE else self.method).partition(".")
        return file, name

    def inner(self) -> Iterator[Choice]:
        """Yield the corrections it is made of: those of its `steps`, or its own keywords `method` and `options`."""
        if "steps" in self.keywords:
            steps = self.options.get("steps")
            if not isinstance(steps, list) or not steps:
                raise ConfigError(f"{self.options_key}.steps, of {self.method}: needs a list of steps, found {steps!r}")
            for i, step in enumerate(steps):
                yield Choice.step(step, f"{self.options_key}.steps[{i}]")
        if {"method", "options"} <= set(self.keywords):
            yield Choice.of(self.options, self.options_key)


def check_correction(entry: Mapping[str, Any], key: str) -> None:
    """Raise ConfigError for a method or option, of `entry` {method, options} or inside it, that does not exist.

    key : where the entry stands in the configuration, for the message.
    """
    _check(Choice.of(entry, key))


def correction_modules(entry: Mapping[str, Any]) -> list[str]:
    """Return the modules of a checked entry {method, options}: its own and those of the corrections inside, once."""
    return list(dict.fromkeys(_modules(Choice.of(entry, "correct"))))


def known_methods() -> list[str]:
    """Return what may stand at `method`: "none", and file.Class of every correction; it defines `fit` itself."""
    files = sorted((PACKAGE / "correction").glob("[a-z]*.py"))
    found = [f"{p.stem}.{name}" for p in files for name in classes_with(f"aeflow.correction.{p.stem}", "fit")]
    return [NONE, *(method for method in found if method != "none.NoCorrection")]


def _check(choice: Choice) -> None:
    methods = known_methods()
    if choice.method not in methods:
        close = _closest(choice.method, methods)
        hint = f" (did you mean {close!r}?)" if close else ""
        raise ConfigError(
            f"{choice.key}.method: {choice.method!r} does not exist{hint}; there are {', '.join(methods)}, "
            "each a file and class of src/aeflow/correction"
        )
    if not isinstance(choice.options, Mapping):
        raise ConfigError(f"{choice.options_key}: {choice.options!r} is no mapping of options")
    for option in choice.options:
        if option not in choice.keywords:
            close = _closest(option, choice.keywords)
            hint = f" (did you mean {close!r}?)" if close else ""
            raise ConfigError(
                f"{choice.options_key}, of {choice.method}: {option!r} does not exist{hint}; "
                f"there are {', '.join(choice.keywords) or 'none'}"
            )
        checked(
            choice.options[option], choice.module, choice.keywords[option].annotation, f"{choice.options_key}.{option}"
        )
    for name, keyword in choice.keywords.items():
        if keyword.required and name not in choice.options:
            raise ConfigError(f"{choice.options_key}.{name}: {choice.method} needs this key")
    for inner in choice.inner():
        _check(inner)


def _modules(choice: Choice) -> Iterator[str]:
    yield choice.module
    for inner in choice.inner():
        yield from _modules(inner)


def _method_of(entry: Any, key: str) -> str:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("method"), str):
        raise ConfigError(f"{key}: needs the key method, found {entry!r}")
    return entry["method"]


def _closest(value: str, names: Iterable[str]) -> str | None:
    """Return the name that `value`, or its part before the dot, is close to: as a whole, or its file, or its class."""
    parts = {part.lower(): name for name in names for part in (name.rpartition(".")[2], name.partition(".")[0], name)}
    for text in (str(value).lower(), str(value).partition(".")[0]):
        for close in difflib.get_close_matches(text, parts, 1):
            return parts[close]
    return None

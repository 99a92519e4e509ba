"""Options that several sources have: what exists, and what is said of what does not."""

from __future__ import annotations

from collections.abc import Collection

from aeflow.errors import ConfigError
from aeflow.expression.vocabulary import TISSUES

HGNC = "hgnc:hgnc_complete_set.txt"  # what symbols: hgnc reads, a file of source hgnc


def check_choice(key: str, value: object, known: Collection[str]) -> None:
    """Raise ConfigError, naming option and value, unless `value` is one of `known`."""
    if value not in known:
        raise ConfigError(f"{key}: {value!r} does not exist; known: {', '.join(known)}")


def check_tissues(tissues: object) -> None:
    """Raise ConfigError, naming option and value, unless `tissues` is None or a list of words of the vocabulary."""
    if tissues is None:
        return
    if isinstance(tissues, str) or not isinstance(tissues, list | tuple) or not tissues:
        raise ConfigError(f"tissues: must be a list of tissues, or null for all; found {tissues!r}")
    for tissue in tissues:
        check_choice("tissues", tissue, TISSUES)

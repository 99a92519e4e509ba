"""Values of a configuration held against types: what is wrong with one, in words, and what the type makes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from aeflow.errors import ConfigError
from aeflow.plan.source_code import type_of
from aeflow.plan.spelling import hint

# YAML 1.1, which Snakemake reads, takes a number without a point for text; YAML 1.2 and everyone else do not
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", re.ASCII)
STRICT = ConfigDict(strict=True, allow_inf_nan=False)


def numbers_of_yaml(content: Any) -> Any:
    """Return mappings, lists and values with every text such as "1e-3" as the number it is to everyone but YAML 1.1."""
    if isinstance(content, Mapping):
        return {key: numbers_of_yaml(value) for key, value in content.items()}
    if isinstance(content, list):
        return [numbers_of_yaml(value) for value in content]
    return float(content) if isinstance(content, str) and NUMBER.fullmatch(content) else content


def reason(fault: Mapping[str, Any]) -> str:
    """Return what is wrong with a value and the value found; `fault` is one of pydantic's errors."""
    value, kind = fault["input"], fault["type"]
    if kind == "literal_error":
        known = [part.strip(" '") for part in fault["ctx"]["expected"].replace(" or ", ",").split(",")]
        return f"{value!r} is none of {', '.join(known)}{hint(value, known)}"
    text = fault["msg"][0].lower() + fault["msg"][1:]
    quoted = ": YAML reads yes, no, on and off as true and false; put text in quotes"
    meant = quoted if kind == "string_type" and isinstance(value, bool) else ""
    return f"{text.removeprefix('value error, ')}; found {value!r}{meant}"


def checked(value: Any, module: str, annotation: str, key: str) -> Any:
    """Return `value` as its type writes it (1 for a float is 1.0); ConfigError, naming key and value, if it is none.

    annotation : of a keyword argument, as `module` writes it; "" allows every value.
    """
    try:
        return _adapter(module, annotation).validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]
        inside = "".join(f".{part}" for part in fault["loc"] if isinstance(part, int))
        raise ConfigError(f"{key}{inside}: {reason(fault)}") from None


@cache
def _adapter(module: str, annotation: str) -> TypeAdapter:
    return TypeAdapter(type_of(module, annotation) if annotation else Any, config=STRICT)

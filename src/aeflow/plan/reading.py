"""Reading a configuration: every fault of types, keys and choices at once, each with the full path of its key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from aeflow.errors import ConfigError
from aeflow.plan.check import check
from aeflow.plan.configuration import EVALUATIONS, Configuration, as_dict
from aeflow.plan.spelling import hint
from aeflow.plan.values import numbers_of_yaml, reason

UNION_MEMBERS = ("str", "int", "bool")


def read_configuration(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole configuration, defaults filled in and keys in a fixed order.

    Raises
    ------
    ConfigError : anything a job would fail on later; names the path of the key and the value found.
    """
    try:
        configuration = Configuration.model_validate(
            # in a filter, a text is a value of the sample sheet
            {key: value if key in ("views", "tasks") else numbers_of_yaml(value) for key, value in content.items()}
        )
    except ValidationError as error:
        raise ConfigError("\n".join(_messages(error))) from None
    config = as_dict(configuration)
    always = {name: {"evaluation": plugin} for name, plugin in EVALUATIONS.items()}
    config["evaluations"] = always | config["evaluations"]
    check(config)
    return config


def _messages(error: ValidationError) -> list[str]:
    """Return one line per key that is wrong; where several types may stand, the complaint that fits."""
    faults = [(_place(fault["loc"]), fault) for fault in error.errors()]
    lines: dict[str, str] = {}
    for place, fault in faults:
        deeper = any(len(other) > len(place) and other[: len(place)] == place for other, _ in faults)
        if not (deeper and fault["type"] == "literal_error"):  # a mapping with a fault of its own was meant
            path = ".".join(map(str, place)) or "the configuration"
            lines.setdefault(path, f"{path}: {_reason(fault, place)}")
    return list(lines.values())


def _place(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return where a fault is, without the names that pydantic gives to members of unions."""
    place: list[str | int] = []
    for part in loc:
        is_member = isinstance(part, str) and ("[" in part or (place and isinstance(place[-1], int)))
        if not is_member or (isinstance(part, str) and "[" not in part and part not in UNION_MEMBERS):
            place.append(part)
    return tuple(place)


def _reason(fault: Mapping[str, Any], place: tuple[str | int, ...]) -> str:
    kind = fault["type"]
    if kind == "extra_forbidden":
        known = _keys_at(place[:-1])
        return f"there is no such key{hint(place[-1], known)}; there are {', '.join(known)}"
    if kind == "missing":
        return "this key is needed"
    return reason(fault)


def _keys_at(place: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the block at a place has."""
    kind: Any = Configuration
    for part in place:
        kind = _inside(kind, part)
    kind = _bare(kind)
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _bare(kind: Any) -> Any:
    """Return a type without Annotated and without None beside it."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    members = [member for member in get_args(kind) if member is not type(None)]
    if get_origin(kind) not in (dict, list) and len(members) == 1:
        return _bare(members[0])
    return kind


def _inside(kind: Any, part: str | int) -> Any:
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return field.annotation if field else None
    return get_args(kind)[-1] if get_origin(kind) in (dict, list) else None

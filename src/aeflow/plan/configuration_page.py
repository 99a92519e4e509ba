"""Write what follows from the configuration's classes: the JSON schema and docs/configuration.md.

python -m aeflow.plan.configuration_page [root of the checkout]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from aeflow.files import atomic_path
from aeflow.plan.configuration import Configuration, OpenBlock

SCHEMA = Path("workflow/schemas/config.schema.yaml")
PAGE = Path("docs/configuration.md")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
HEAD = """# Configuration

A configuration says what to run. `snakemake --configfile FILE` replaces the demo's (`config/config.yaml`); of several
files on the command line, later ones override single keys of earlier ones. An unknown key, a misspelt choice or a value
out of bounds stops before any job and names the key.

Names of cohorts, datasets, views, models, experiments and tasks are yours to choose; they become folder names, so they
consist of letters, digits and `_`. Plug-ins are named by their file and what is in it, such as `vae.VAE`.

This page and `workflow/schemas/config.schema.yaml` are generated from `src/aeflow/plan/configuration.py`
(`make docs`).
"""


def schema() -> str:
    """Return the JSON schema of a configuration, as YAML."""
    content = {"$schema": DIALECT, **Configuration.model_json_schema()}
    text = yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True)
    return f"# Generated from src/aeflow/plan/configuration.py by `make docs`.\n{text}"


def page() -> str:
    """Return docs/configuration.md: a table for each block, in the order in which blocks are met."""
    parts = [HEAD]
    done: set[type] = set()
    todo: list[tuple[str, type[BaseModel]]] = [("", Configuration)]
    while todo:
        path, block = todo.pop(0)
        if block in done:
            continue
        done.add(block)
        parts.append(_section(path, block))
        for name, field in block.model_fields.items():
            inner, below = _block_of(field.annotation, f"{path}.{name}" if path else name)
            if inner is not None:
                todo.append((below, inner))
    return "\n".join(parts)


def _section(path: str, block: type[BaseModel]) -> str:
    title = f"## `{path}`" if path else "## Top level"
    lines = [title, "", " ".join((block.__doc__ or "").split()), ""]
    lines += ["| key | type | default | unit | meaning |", "|---|---|---|---|---|"]
    for name, field in block.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        cells = (f"`{name}`", _type_text(field), _default_text(field, extra), extra.get("unit", ""), field.description)
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    if issubclass(block, OpenBlock):
        lines += ["", "Other keys are keyword arguments of what the block names."]
    return "\n".join(lines) + "\n"


def _default_text(field: FieldInfo, extra: dict[str, Any]) -> str:
    if field.is_required():
        return "needed"
    if "default_text" in extra:
        return f"`{extra['default_text']}`"
    if isinstance(field.default, BaseModel):
        return ""
    if field.default is None:
        return "none"
    return f"`{json.dumps(field.default)}`"


def _type_text(field: FieldInfo) -> str:
    text = _name_of(field.annotation)
    bounds = [_bound(bound) for bound in field.metadata]
    return ", ".join([text, *filter(None, bounds)])


def _bound(bound: Any) -> str:
    for attribute, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<")):
        if getattr(bound, attribute, None) is not None:
            return f"{sign} {getattr(bound, attribute)}"
    return ""


NAMES = {int: "whole number", float: "number", str: "text", bool: "true or false"}


def _name_of(kind: Any) -> str:
    """Return a type as a reader of YAML calls it."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _name_of(get_args(kind)[0])
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    if origin is list:
        return f"list of {_name_of(get_args(kind)[0])}"
    if origin is dict:
        return f"name -> {_name_of(get_args(kind)[1])}"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "block"
    members = [member for member in get_args(kind) if member is not type(None)]
    if members:
        return " or ".join(_name_of(member) for member in members)
    return NAMES.get(kind, "anything")


def _block_of(kind: Any, path: str) -> tuple[type[BaseModel] | None, str]:
    """Return the block that a type holds, and the path of that block; None if it holds none."""
    origin = get_origin(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind, path
    if origin is dict:
        return _block_of(get_args(kind)[1], f"{path}.*")
    for member in get_args(kind) if origin is not Literal else ():
        found, below = _block_of(member, path)
        if found is not None:
            return found, below
    return None, path


def main(root: Path) -> None:
    """Write both files below the root of a checkout."""
    for path, text in ((SCHEMA, schema()), (PAGE, page())):
        with atomic_path(root / path) as tmp:
            tmp.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())

"""Which TCGA files to read and whose they are: a saved GDC manifest and the metadata of its files.

Both are small and read while the Snakefile is parsed, so this imports nothing heavy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aeflow.errors import ConfigError, DataError
from aeflow.expression.vocabulary import tcga_tissue

COLUMNS = ("id", "filename", "md5", "size", "state")
SUFFIX = ".rna_seq.augmented_star_gene_counts.tsv"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MD5 = re.compile(r"[0-9a-f]{32}")
SEXES = {"male": "male", "female": "female"}  # anything else that was reported is left blank


@dataclass(frozen=True)
class Entry:
    """One count file: what manifest and metadata say of it. `age` in years, None where unknown."""

    file_id: str
    md5: str
    sample_id: str
    project: str
    sex: str
    age: int | None


def read_entries(manifest: str, metadata: str, tissues: Sequence[str] | None) -> list[Entry]:
    """Return the count files of the manifest with what the metadata says, ordered by id; ConfigError names a fault."""
    known = _read_metadata(metadata)
    found = []
    for where, file_id, md5 in _read_manifest(manifest):
        if file_id not in known:
            raise ConfigError(f"{where}: file {file_id} is not in the metadata {metadata}")
        hit, place = known[file_id], f"metadata {metadata}: file {file_id}"
        aliquots = _aliquots(hit)
        if len(aliquots) != 1:
            raise ConfigError(f"{place}: expected one aliquot (associated_entities), found {len(aliquots)}")
        case = (hit.get("cases") or [{}])[0]
        project = (case.get("project") or {}).get("project_id", "")
        try:
            tissue = tcga_tissue(project, place)
        except DataError as error:
            raise ConfigError(str(error)) from None
        if tissues is None or tissue in tissues:
            person = case.get("demographic") or {}
            age = person.get("age_at_index")
            sex = SEXES.get(str(person.get("gender") or "").lower(), "")
            code = project.removeprefix("TCGA-")
            found.append(Entry(file_id, md5, aliquots[0], code, sex, None if age is None else int(age)))
    if not found:
        raise ConfigError(f"manifest {manifest}: no file is left for tissues {tissues!r}")
    return sorted(found, key=lambda entry: entry.file_id)


def md5_of(file_id: str, manifests: Sequence[str]) -> str | None:
    """Return the md5 that `manifests` (paths) give for a file, None where none lists it.

    ConfigError: a manifest that cannot be read, or two that disagree.
    """
    found = {md5: manifest for manifest in manifests for _, name, md5 in _read_manifest(manifest) if name == file_id}
    if len(found) > 1:
        raise ConfigError(f"file {file_id}: md5 differs between manifests: {found}")
    return next(iter(found), None)


def _read_manifest(manifest: str) -> list[tuple[str, str, str]]:
    """Return (where, file id, md5) of every line."""
    try:
        lines = Path(manifest).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"manifest: {manifest!r} cannot be read: {error.strerror}") from None
    if not lines or tuple(lines[0].split("\t")) != COLUMNS:
        found = lines[0][:80] if lines else ""
        raise ConfigError(f"manifest {manifest}: line 1: expected {' '.join(COLUMNS)}, found {found!r}")
    rows, seen = [], set()
    for number, line in enumerate(lines[1:], start=2):
        where, cells = f"manifest {manifest}: line {number}", line.split("\t")
        if len(cells) != len(COLUMNS):
            raise ConfigError(f"{where}: {len(cells)} cells, expected {len(COLUMNS)}")
        file_id, name, md5 = cells[:3]
        if not UUID.fullmatch(file_id) or file_id in seen:
            raise ConfigError(f"{where}, id: {'occurs twice' if file_id in seen else 'not a file id'}: {file_id!r}")
        if not name.endswith(SUFFIX):
            raise ConfigError(f"{where}, filename: expected *{SUFFIX}, found {name!r}")
        if not MD5.fullmatch(md5):
            raise ConfigError(f"{where}, md5: not an md5 sum, found {md5!r}")
        seen.add(file_id)
        rows.append((where, file_id, md5))
    return rows


def _read_metadata(metadata: str) -> dict[str, dict[str, Any]]:
    """Return file id -> entry of the saved JSON."""
    try:
        content = json.loads(Path(metadata).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"metadata: {metadata!r} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"metadata {metadata}: not JSON: {error}") from None
    if isinstance(content, dict):
        content = (content.get("data") or {}).get("hits")
    if not isinstance(content, list) or not all(isinstance(hit, dict) and "file_id" in hit for hit in content):
        raise ConfigError(
            f"metadata {metadata}: expected a list of files, each with file_id, or {{data: {{hits: it}}}}"
        )
    return {hit["file_id"]: hit for hit in content}


def _aliquots(hit: Mapping[str, Any]) -> list[str]:
    return sorted(
        {e["entity_submitter_id"] for e in hit.get("associated_entities") or () if e.get("entity_submitter_id")}
    )

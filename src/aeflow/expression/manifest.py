"""Which TCGA files to read and whose they are: a saved GDC manifest and the metadata of its files.

Both are small and read while the Snakefile is parsed, so this imports nothing heavy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from aeflow.errors import ConfigError, DataError
from aeflow.expression import text
from aeflow.expression.vocabulary import tcga_tissue

COLUMNS = ("id", "filename", "md5", "size", "state")
SUFFIX = ".rna_seq.augmented_star_gene_counts.tsv"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MD5 = re.compile(r"[0-9a-f]{32}")
SEXES = {"male": "male", "female": "female"}  # anything else that was reported is left blank
YEARS = re.compile(r"(\d{1,3})(\.0*)?", re.ASCII)
OLDEST = 120  # years; GDC's other ages are in days
FIELDS = (
    "file_id,associated_entities.entity_submitter_id,cases.project.project_id,cases.demographic.gender,"
    "cases.demographic.age_at_index,cases.samples.submitter_id,cases.samples.preservation_method,cases.samples.is_ffpe"
)
HOW = f"ask https://api.gdc.cancer.gov/files for fields={FIELDS} (the call is in docs/datasets.md)"


@dataclass(frozen=True)
class Entry:
    """One count file: what manifest and metadata say of it. `age` in years, None where unknown.

    `ffpe` is what the metadata says of a sample fixed in formalin, such as "preservation_method is FFPE"; "" where it
    says nothing of the kind.
    """

    file_id: str
    md5: str
    sample_id: str
    project: str
    sex: str
    age: int | None
    ffpe: str = ""


def read_entries(manifest: str, metadata: str, tissues: Sequence[str] | None) -> list[Entry]:
    """Return the count files of the manifest with what the metadata says, ordered by id; ConfigError names a fault."""
    known = _read_metadata(metadata)
    found = []
    for where, file_id, md5 in _read_manifest(manifest):
        if file_id not in known:
            raise ConfigError(
                f"{where}: file {file_id} is not in the metadata {metadata} (unless asked for a size, the API gives 10)"
            )
        hit, place = known[file_id], f"metadata {metadata}: file {file_id}"
        sample = _aliquot(hit, place)
        case = _case(hit, place)
        code = _project(case, place)
        tissue = _raised(tcga_tissue, code, place)
        if tissues is None or tissue in tissues:
            person = _object(case.get("demographic"), f"{place}: cases.demographic")
            age = _age(person.get("age_at_index"), f"{place}: cases.demographic.age_at_index")
            sex = SEXES.get(str(person.get("gender") or "").strip().lower(), "")
            ffpe = _ffpe(case.get("samples"), sample, f"{place}: cases.samples")
            found.append(Entry(file_id, md5, sample, code.removeprefix("TCGA-"), sex, age, ffpe))
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


def _raised(function: Callable, *given: Any) -> Any:
    """Return what `function` returns; its DataError is one of the configuration, which names these files."""
    try:
        return function(*given)
    except DataError as error:
        raise ConfigError(str(error)) from None


def _lines(kind: str, path: str) -> list[str]:
    try:
        return _raised(text.all_lines, path)
    except OSError as error:
        raise ConfigError(f"{kind}: {path!r} cannot be read: {error.strerror}") from None


def _read_manifest(manifest: str) -> list[tuple[str, str, str]]:
    """Return (where, file id, md5) of every line; columns may stand in any order, blank lines at the end."""
    lines = _lines("manifest", manifest)
    while lines and not lines[-1].strip():
        lines.pop()
    names = [text.clean(name) for name in lines[0].split("\t")] if lines else []
    if sorted(names) != sorted(COLUMNS):
        found = lines[0][:80] if lines else ""
        raise ConfigError(f"manifest {manifest}: line 1: expected {' '.join(COLUMNS)}, found {found!r}")
    rows, seen = [], set()
    for number, line in enumerate(lines[1:], start=2):
        where, cells = f"manifest {manifest}: line {number}", [text.clean(cell) for cell in line.split("\t")]
        if len(cells) != len(COLUMNS):
            raise ConfigError(f"{where}: {len(cells)} cells, expected {len(COLUMNS)}")
        row = dict(zip(names, cells, strict=True))
        file_id, name, md5 = row["id"], row["filename"], row["md5"]
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
    lines = _lines("metadata", metadata)
    try:
        content = json.loads("\n".join(lines), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"metadata {metadata}: not JSON: {error}") from None
    if isinstance(content, dict):
        content = content["data"].get("hits") if isinstance(content.get("data"), dict) else None
    if not isinstance(content, list) or not all(isinstance(hit, dict) and "file_id" in hit for hit in content):
        raise ConfigError(
            f"metadata {metadata}: expected a list of files, each with file_id, or {{data: {{hits: it}}}}"
        )
    known: dict[str, dict[str, Any]] = {}
    for hit in content:
        if not isinstance(hit["file_id"], str):
            raise ConfigError(f"metadata {metadata}: file_id must be text, found {hit['file_id']!r}")
        if known.setdefault(hit["file_id"], hit) != hit:
            raise ConfigError(f"metadata {metadata}: file {hit['file_id']} stands there twice, with different content")
    return known


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _objects(value: Any, where: str) -> list[dict[str, Any]]:
    """Return a list of JSON objects, empty for null; ConfigError for anything else."""
    value = [] if value is None else value
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ConfigError(f"{where}: expected a list of objects, found {json.dumps(value)[:80]}")
    return value


def _object(value: Any, where: str) -> dict[str, Any]:
    """Return a JSON object, empty for null; ConfigError for anything else."""
    return _objects([{} if value is None else value], where)[0]


def _aliquot(hit: Mapping[str, Any], place: str) -> str:
    """Return the barcode of the aliquot that a file is of."""
    entities = _objects(hit.get("associated_entities"), f"{place}: associated_entities")
    names = {entity.get("entity_submitter_id") for entity in entities} - {None, ""}
    if len(names) != 1 or not all(isinstance(name, str) for name in names):
        raise ConfigError(
            f"{place}: expected one aliquot (associated_entities.entity_submitter_id), found {len(names)}; {HOW}"
        )
    return names.pop()


def _case(hit: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the one case of a file, empty where the metadata has none."""
    cases = _objects(hit.get("cases"), f"{place}: cases")
    if len(cases) > 1:
        raise ConfigError(f"{place}: expected one case, found {len(cases)}")
    return cases[0] if cases else {}


def _project(case: Mapping[str, Any], place: str) -> str:
    """Return the project id of a case."""
    project = _object(case.get("project"), f"{place}: cases.project").get("project_id")
    if not isinstance(project, str) or not project.strip():
        raise ConfigError(
            f"{place}: no cases.project.project_id. The file that the portal's Metadata button saves has none; {HOW}"
        )
    return project.strip()


def _age(value: Any, where: str) -> int | None:
    """Return an age in whole years, None where it is unknown."""
    if value is None:
        return None
    cell = value.strip() if isinstance(value, str) else "" if isinstance(value, bool) else str(value)
    if isinstance(value, str):
        from aeflow.labels import UNLABELLED  # with pandas, which few metadata need

        if cell.lower() in UNLABELLED:
            return None
    match = YEARS.fullmatch(cell)
    if not match or int(match[1]) > OLDEST:
        raise ConfigError(
            f"{where}: expected whole years up to {OLDEST}, found {json.dumps(value)[:80]}{text.date_note(cell)}"
        )
    return int(match[1])


def _ffpe(samples: Any, sample_id: str, where: str) -> str:
    """Return what says that the aliquot's sample was fixed in formalin, "" if nothing does."""
    for sample in _objects(samples, where):
        of = sample.get("submitter_id")
        if isinstance(of, str) and not sample_id.startswith(of):
            continue  # another sample of the case
        for key, words in (("preservation_method", ("ffpe",)), ("is_ffpe", ("true", "yes"))):
            if str(sample.get(key)).strip().lower() in words:
                return f"{key} is {sample[key]}"
    return ""

"""STAR gene counts as the Genomic Data Commons gives them: one tab-separated file per aliquot."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aeflow.errors import DataError
from aeflow.files import atomic_path

COLUMNS = (
    "gene_id",
    "gene_name",
    "gene_type",
    "unstranded",
    "stranded_first",
    "stranded_second",
    "tpm_unstranded",
    "fpkm_unstranded",
    "fpkm_uq_unstranded",
)
VALUES = ("unstranded", "tpm_unstranded")
MODEL = "# gene-model: "
SUMMARY = ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")  # of reads, above the genes; no expression


def convert_star(path: Path, out: Path) -> None:
    """Write gene_id, symbol and the float32 columns `VALUES` as Parquet; md5 and gene model go into its metadata.

    Raises
    ------
    DataError : naming file, line and column, for a file of the old kind (four columns without names), another header,
        a missing gene model or summary row, a gene that occurs twice, values that are not finite and non-negative.
    """
    data = Path(path).read_bytes()
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error}") from error
    model, rows = _body(path, lines)
    columns = list(zip(*(cells for _, cells in rows), strict=True))
    genes = columns[0]
    if len(set(genes)) < len(genes):
        seen: dict[str, int] = {}
        for number, cells in rows:
            if cells[0] in seen:
                raise DataError(f"{path}: line {number}: gene {cells[0]!r} stands on line {seen[cells[0]]}, too")
            seen[cells[0]] = number
    arrays = [pa.array(genes, pa.string()), pa.array(columns[1], pa.string())]
    for name in VALUES:
        place = COLUMNS.index(name)
        arrays.append(pa.array(_numbers(path, name, columns[place], [number for number, _ in rows])))
    table = pa.Table.from_arrays(arrays, names=["gene_id", "symbol", *VALUES])
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    with atomic_path(out) as tmp:
        pq.write_table(table.replace_schema_metadata({"md5": md5, "gene_model": model}), tmp, compression="zstd")


def _body(path: Path, lines: list[str]) -> tuple[str, list[tuple[int, list[str]]]]:
    """Return the gene model and (line number, cells) of every gene."""
    first = lines[0] if lines else ""
    if first.startswith(SUMMARY) and len(first.split("\t")) == 4:
        raise DataError(
            f"{path}: line 1: STAR counts of an old GDC release, four columns without gene names; fetch the file's "
            "current version (*.rna_seq.augmented_star_gene_counts.tsv)"
        )
    if not first.startswith(MODEL) or not first[len(MODEL) :].strip():
        raise DataError(f"{path}: line 1: expected {MODEL + 'GENCODE v36'!r} or alike, found {first[:80]!r}")
    header = tuple(lines[1].split("\t")) if len(lines) > 1 else ()
    if header != COLUMNS:
        raise DataError(f"{path}: line 2: expected the columns {' '.join(COLUMNS)}, found {' '.join(header)[:200]!r}")
    rows = []
    summary = []
    for number, line in enumerate(lines[2:], start=3):
        cells = line.split("\t")
        if len(cells) != len(COLUMNS):
            raise DataError(f"{path}: line {number}: {len(cells)} cells, the header has {len(COLUMNS)}")
        if cells[0] in SUMMARY:
            summary.append(cells[0])
        else:
            rows.append((number, cells))
    if tuple(summary) != SUMMARY:
        raise DataError(f"{path}: expected the rows {', '.join(SUMMARY)} above the genes, found {summary}")
    if not rows:
        raise DataError(f"{path}: no gene after the summary rows")
    return first[len(MODEL) :].strip(), rows


def _numbers(path: Path, name: str, cells: tuple[str, ...], lines: list[int]) -> np.ndarray:
    try:
        values = np.array(cells, dtype=np.float64)
    except ValueError:
        values = np.array([_number(cell) for cell in cells])
    bad = ~(np.isfinite(values) & (values >= 0) & (values <= np.finfo(np.float32).max))
    if bad.any():
        i = int(np.argmax(bad))
        raise DataError(
            f"{path}: line {lines[i]}, column {COLUMNS.index(name) + 1} ({name}): not a finite number of at least 0, "
            f"found {cells[i]!r}"
        )
    return values.astype(np.float32)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def provenance(path: Path) -> tuple[str, str]:
    """Return (md5 of the raw file, gene model) of a Parquet file that `convert_star` wrote; DataError if it is none."""
    metadata = pq.read_schema(path).metadata or {}
    if b"md5" not in metadata or b"gene_model" not in metadata:
        raise DataError(f"{path}: not made of a STAR-count file")
    return metadata[b"md5"].decode(), metadata[b"gene_model"].decode()

"""STAR gene counts as the Genomic Data Commons gives them: one tab-separated file per aliquot."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow.parquet as pq

from aeflow.errors import DataError
from aeflow.expression import text, wide

GENES = {"gene_id": "gene_id", "gene_name": "symbol", "gene_type": None}  # name in the file -> name in Parquet
COUNTS = (
    "unstranded",
    "stranded_first",
    "stranded_second",
    "tpm_unstranded",
    "fpkm_unstranded",
    "fpkm_uq_unstranded",
)
COLUMNS = (*GENES, *COUNTS)
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
    metadata = {"md5": hashlib.md5(Path(path).read_bytes(), usedforsecurity=False).hexdigest()}
    metadata["gene_model"] = _gene_model(path)
    header = wide.Header(GENES, COUNTS, n_lines=2 + len(SUMMARY), names_line=2, keep=VALUES)
    wide.convert_matrix(path, out, header, non_negative=True, compression="zstd", metadata=metadata)


def _gene_model(path: Path) -> str:
    """Return the gene model that the first lines name; DataError if they are not those of a count file."""
    first = text.read_lines(path, 1)[0]
    if first.startswith(SUMMARY) and len(first.split("\t")) == 4:
        raise DataError(
            f"{path}: line 1: STAR counts of an old GDC release, four columns without gene names; fetch the file's "
            "current version (*.rna_seq.augmented_star_gene_counts.tsv)"
        )
    model = first.removeprefix(MODEL).strip()
    if not first.startswith(MODEL) or not model:
        raise DataError(f"{path}: line 1: expected {MODEL + 'GENCODE v36'!r} or alike, found {first[:80]!r}")
    _, names, *summary = text.read_lines(path, 2 + len(SUMMARY))
    if tuple(map(text.clean, names.split("\t"))) != COLUMNS:
        raise DataError(f"{path}: line 2: expected the columns {' '.join(COLUMNS)}, found {names[:200]!r}")
    for number, (wanted, line) in enumerate(zip(SUMMARY, summary, strict=True), start=3):
        cells = line.split("\t")
        if cells[0] != wanted or len(cells) != len(COLUMNS):
            raise DataError(
                f"{path}: line {number}: expected the row {wanted} of {len(COLUMNS)} cells above the genes, "
                f"found {line[:80]!r}"
            )
    return model


def provenance(path: Path) -> tuple[str, str]:
    """Return (md5 of the raw file, gene model) of a Parquet file that `convert_star` wrote; DataError if it is none."""
    metadata = pq.read_schema(path).metadata or {}
    if b"md5" not in metadata or b"gene_model" not in metadata:
        raise DataError(f"{path}: not made of a STAR-count file")
    return metadata[b"md5"].decode(), metadata[b"gene_model"].decode()

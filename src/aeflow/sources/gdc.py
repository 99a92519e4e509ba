"""TCGA from the Genomic Data Commons: one STAR-count file per aliquot, chosen by a saved manifest.

Two files, saved once and kept beside the configuration, say what there is:

- the manifest, as the portal or the API (``return_type=manifest``) gives it: tab-separated, columns id, filename, md5,
  size, state;
- the metadata of the same files as JSON, because a count file does not say whose it is: the answer of
  ``https://api.gdc.cancer.gov/files`` ({"data": {"hits": [...]}}, or the list of hits alone) for the fields
  ``expression.manifest.FIELDS``; docs/datasets.md has the call. The file that the portal's "Metadata" button saves is
  not enough, as it lacks the project. Sex, age and how a sample was preserved may be missing or unknown. The portal's
  sample sheet is not read.

Options
-------
kind : "counts" (column unstranded) or "tpm" (column tpm_unstranded). Both linear.
manifest, metadata : paths of the two files, relative to the working directory.
tissues : list of words of expression/vocabulary.py. Default all. Files of other projects are not fetched.
symbols : "source" (GENCODE's, as the files have them) or "hgnc" (today's, see expression/ids.py). Default source.
gate : {max_value: linear value, action: clip | drop_var | error, max_per_obs: values}, or null for none; see
    expression/quality.py. Default none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeflow.errors import DataError
from aeflow.expression.obs_columns import OBS_COLUMNS_WITH_SITE as OBS_COLUMNS
from aeflow.expression.options import HGNC, check_choice, check_tissues

if TYPE_CHECKING:
    from aeflow.dataset.cohort import Cohort
    from aeflow.expression.manifest import Entry
    from aeflow.expression.sheets import SampleSheet
    from aeflow.expression.wide import Matrix

# The Snakefile imports this module at every start of every job, so pandas and pyarrow are imported where they are used.

KIND = "expression"
ORIGIN = "real"
SIMULATES = False
VALUES = {"counts": "unstranded", "tpm": "tpm_unstranded"}
TEXT = ("gene_id", "symbol")
SYMBOLS = ("source", "hgnc")


def matrices(
    kind: str,
    manifest: str,
    metadata: str,
    tissues: Sequence[str] | None = None,
    symbols: str = "source",
    gate: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Return {file id: file id} of the count files of the manifest; ConfigError for a bad option or manifest.

    A path that begins with ``hgnc:`` is a file of source hgnc. `gate` plays no part here.
    """
    from aeflow.expression.manifest import read_entries

    _check_options(kind, tissues, symbols)
    files = {entry.file_id: entry.file_id for entry in read_entries(manifest, metadata, tissues)}
    return files | ({"hgnc": HGNC} if symbols == "hgnc" else {})


def convert(path: Path, out: Path) -> None:
    """Write one count file as Parquet: gene_id, symbol, unstranded, tpm_unstranded; its md5 and gene model beside it.

    Raises
    ------
    DataError : naming file and line, for anything but STAR counts with gene names (GDC release 32 and later).
    """
    from aeflow.expression import ids, star

    if Path(path).name == HGNC.partition(":")[2]:
        ids.convert_hgnc(path, out)
    else:
        star.convert_star(path, out)


def unify(
    files: Mapping[str, Path],
    kind: str,
    manifest: str,
    metadata: str,
    tissues: Sequence[str] | None = None,
    symbols: str = "source",
    gate: Mapping[str, Any] | None = None,
) -> Cohort:
    """Return the cohort of converted `files`: samples ordered by barcode, genes by symbol, those of one summed.

    One aliquot per patient and sample type: see expression/aliquots.py.

    Raises
    ------
    DataError : a file whose bytes are not those of the manifest, files of different gene models, values that contradict
        `kind`, no sample left.
    """
    from aeflow.expression import ids, quality, stack
    from aeflow.expression.units import Measure

    _check_options(kind, tissues, symbols)
    quality.check_gate(gate)
    sheet, chosen, model = samples(files, kind, manifest, metadata, tissues)
    obs, dropped = sheet.finish(f"manifest {manifest}")
    table = ids.read_symbols(files["hgnc"]) if symbols == "hgnc" else None
    described = {"columns": OBS_COLUMNS, "origin": ORIGIN, "kind": kind, "gene_model": model}
    return stack.by_ensembl_id(chosen, obs, dropped, Measure(kind), table=table, gate=gate, **described)


def samples(
    files: Mapping[str, Path], kind: str, manifest: str, metadata: str, tissues: Sequence[str] | None, prefix: str = ""
) -> tuple[SampleSheet, dict[str, Matrix], str]:
    """Return the sample sheet, the matrices, and their gene model.

    `prefix` stands before the file ids in the keys of `files`.
    """
    from aeflow.expression import star
    from aeflow.expression.manifest import read_entries
    from aeflow.expression.sheets import SampleSheet
    from aeflow.expression.wide import Matrix

    sheet = SampleSheet()
    chosen: dict[str, Matrix] = {}
    models: dict[str, str] = {}
    file_of: dict[str, str] = {}
    for entry in sorted(read_entries(manifest, metadata, tissues), key=lambda entry: entry.sample_id):
        name, file, sample = f"{prefix}{entry.file_id}", entry.file_id, entry.sample_id
        md5, model = star.provenance(files[name])
        if md5 != entry.md5:
            raise DataError(
                f"{file}: md5 of the downloaded file is {md5}, the manifest {manifest} says {entry.md5}: one of them "
                f"is of another release; `snakemake --forcerun resources/gdc/{file}` fetches it anew"
            )
        if file_of.setdefault(sample, file) != file:
            raise DataError(f"aliquot {sample} is in two files: {file_of[sample]}, {file}")
        models.setdefault(model, file)
        row, reason = _row(entry)
        if reason:
            sheet.leave_out(sample, reason, file)
        else:
            sheet.add(row, matrix=name, column=VALUES[kind], source_file=file)
            chosen[name] = Matrix(files[name], TEXT, file)
    if len(models) > 1:
        raise DataError("files of different gene models: " + ", ".join(f"{m!r} in {f}" for m, f in models.items()))
    return sheet, chosen, next(iter(models))


def _row(entry: Entry) -> tuple[dict[str, str], str]:
    """Return (row of obs, "") or ({}, why the aliquot is left out)."""
    from aeflow.expression import barcodes, vocabulary

    match = barcodes.TCGA.fullmatch(entry.sample_id)
    if match and match["code"] not in barcodes.CONDITIONS:
        code = match["code"]
        return {}, "control analyte" if code == "20" else f"sample type code {code} is neither tumour nor normal"
    if entry.ffpe:
        return {}, f"FFPE: {entry.ffpe}"
    barcode = barcodes.parse_barcode(entry.sample_id, f"file {entry.file_id}")
    if barcode.study != "TCGA":
        raise DataError(f"file {entry.file_id}: sample {entry.sample_id!r} is not TCGA's")
    row = barcode.row(
        tissue=vocabulary.tcga_tissue(entry.project, entry.file_id),
        project=entry.project,
        sex=entry.sex,
        age_bracket="" if entry.age is None else f"{entry.age // 10 * 10}-{entry.age // 10 * 10 + 9}",
        collection_site=barcode.donor_id.split("-")[1],
    )
    return row, ""


def _check_options(kind: str, tissues: Sequence[str] | None, symbols: str) -> None:

    check_choice("kind", kind, VALUES)
    check_choice("symbols", symbols, SYMBOLS)
    check_tissues(tissues)

"""UCSC Xena's Toil recompute: TCGA and GTEx through one pipeline (Vivian et al. 2017, Nat Biotechnol 35:314).

Raw RSEM values without any correction between the studies; 60,498 genes (GENCODE v23) of 19,131 samples. TARGET, cell
lines and control analytes are left out and logged.

Options
-------
kind : "tpm" (log2(tpm+0.001) in the file) or "expected_count" (log2(x+1) in the file); both leave here linear.
tissues : list of words of expression/vocabulary.py. Default all.
symbols : "probemap" (GENCODE v23's, as Xena gives them) or "hgnc" (today's, see expression/ids.py). Default probemap.
n_genes : rows the matrix must have; truncated downloads of these files are common. Default 60498.
gate : {max_value: linear value, action: clip | drop_var | error, max_per_obs: values}, or null for none; see
    expression/quality.py. Default none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeflow.errors import ConfigError, DataError
from aeflow.expression.obs_columns import OBS_COLUMNS_WITH_SITE as OBS_COLUMNS
from aeflow.expression.options import HGNC, check_choice, check_tissues

if TYPE_CHECKING:
    from aeflow.dataset.cohort import Cohort
    from aeflow.expression.barcodes import Barcode
    from aeflow.expression.sheets import SampleSheet
    from aeflow.expression.wide import Matrix

# The Snakefile imports this module at every start of every job, so pandas and pyarrow are imported where they are used.

KIND = "expression"
ORIGIN = "real"
SIMULATES = False
MATRICES = {  # kind -> name, file, scale in the file, unit
    "tpm": ("gene_tpm", "TcgaTargetGtex_rsem_gene_tpm.gz", "log2(x+0.001)", "tpm"),
    "expected_count": ("gene_expected_count", "TcgaTargetGtex_gene_expected_count.gz", "log2(x+1)", "counts"),
}
PHENOTYPE = ("phenotype", "TcgaTargetGTEX_phenotype.txt.gz")
PROBEMAP = ("probemap", "probeMap/gencode.v23.annotation.gene.probemap")
PHENOTYPE_COLUMNS = ("sample", "primary disease or tissue", "_sample_type", "_gender", "_study")
PROBEMAP_COLUMNS = ("id", "gene")
TCGA = re.compile(r"(?P<donor>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})-(?P<code>\d{2})", re.ASCII)
SEXES = {"Male": "male", "Female": "female"}  # anything else must be a word for nothing
N_GENES = 60498


def matrices(
    kind: str,
    tissues: Sequence[str] | None = None,
    symbols: str = "probemap",
    n_genes: int = N_GENES,
    gate: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Return {name: file} of the matrix, the sample sheet and the gene names; ConfigError for a bad option.

    A file that begins with ``hgnc:`` is one of source hgnc. `gate` plays no part here.
    """
    _check_options(kind, tissues, symbols, n_genes)
    files = [MATRICES[kind][:2], PHENOTYPE, PROBEMAP, *([("hgnc", HGNC)] if symbols == "hgnc" else [])]
    return dict(files)


def convert(path: Path, out: Path) -> None:
    """Write one file as Parquet: a matrix as stored (log2; gene_id, one float32 column per sample), or a sheet.

    A matrix is streamed: memory does not depend on the number of genes.

    Raises
    ------
    DataError : naming file, line and column, for anything but a full matrix of finite numbers with unique genes and
        known barcodes, or a sheet without its columns.
    """
    from aeflow.expression import ids, sheets, wide

    name = Path(path).name
    if name == Path(PHENOTYPE[1]).name:
        sheets.convert_sheet(path, out, PHENOTYPE_COLUMNS, latin1=True)
    elif name == Path(PROBEMAP[1]).name:
        sheets.convert_sheet(path, out, PROBEMAP_COLUMNS)
    elif name == HGNC.partition(":")[2]:
        ids.convert_hgnc(path, out)
    else:
        header = wide.read_header(path, {"sample": "gene_id"})
        wide.convert_matrix(path, out, header, non_negative=False, check_sample=_parse)


def unify(
    files: Mapping[str, Path],
    kind: str,
    tissues: Sequence[str] | None = None,
    symbols: str = "probemap",
    n_genes: int = N_GENES,
    gate: Mapping[str, Any] | None = None,
) -> Cohort:
    """Return the cohort of converted `files`, in linear units: samples ordered by id, genes by symbol.

    Genes of one symbol are summed in linear space. Values that the rounded logarithm puts below 0 are 0. Memory: the
    table itself and a small part of the matrix.

    Raises
    ------
    DataError : another number of genes than `n_genes`, values that contradict the scale the kind has, a sample whose
        id contradicts the sample sheet, a tissue that is not in the vocabulary, no sample left.
    """
    from aeflow.expression import ids, quality, stack, units
    from aeflow.expression.wide import Matrix

    _check_options(kind, tissues, symbols, n_genes)
    quality.check_gate(gate)
    name, file, scale, unit = MATRICES[kind]
    matrix = Matrix(files[name], ("gene_id",), file)
    genes = matrix.text().column("gene_id").to_pylist()
    if len(genes) != n_genes:
        raise DataError(f"{matrix.title}: {len(genes)} genes, expected {n_genes}: a cut-off download?")
    obs, dropped = _sample_sheet(name, matrix, files[PHENOTYPE[0]], tissues).finish(file)
    table = ids.read_symbols(files["hgnc"]) if symbols == "hgnc" else None
    found = _symbols(genes, files[PROBEMAP[0]], file)
    measure, described = units.Measure(unit, scale), {"columns": OBS_COLUMNS, "origin": ORIGIN, "kind": kind}
    return stack.by_ensembl_id(
        {name: matrix}, obs, dropped, measure, table=table, symbols=found, gate=gate, **described
    )


def _symbols(genes: Sequence[str], probemap: Path, file: str) -> list[str]:
    """Return the probemap's symbols of `genes`; DataError for a gene it does not have."""
    from aeflow.expression.sheets import rows_by

    names = rows_by(probemap, "id", PROBEMAP[1])
    unknown = next((gene for gene in genes if gene not in names), None)
    if unknown is not None:
        raise DataError(f"{file}: gene {unknown!r} is not in {PROBEMAP[1]}")
    return [names[gene]["gene"] for gene in genes]


def _sample_sheet(name: str, matrix: Matrix, phenotype: Path, tissues: Sequence[str] | None) -> SampleSheet:
    """Return the samples that belong to the cohort, ordered by id, and why the others do not."""
    from aeflow.expression import sheets

    rows = sheets.rows_by(phenotype, "sample", PHENOTYPE[1])
    sheet = sheets.SampleSheet()
    for _, sample in sheets.samples_of({name: matrix}):
        row, reason = _row(sample, rows.get(sample), matrix.source_file, tissues)
        if reason:
            sheet.leave_out(sample, reason, matrix.source_file)
        else:
            sheet.add(row, matrix=name, column=sample, source_file=matrix.source_file)
    return sheet


def _row(sample: str, sheet: dict[str, str] | None, file: str, tissues: Sequence[str] | None) -> tuple[dict, str]:
    """Return (row of obs, "") or ({}, why the sample is left out)."""
    from aeflow.expression import vocabulary
    from aeflow.labels import UNLABELLED

    barcode = _parse(sample, file)
    if barcode.study == "TARGET":
        return {}, "TARGET: neither GTEx nor TCGA"
    if barcode.study == "K-562":
        return {}, "cell line"
    if sheet is None:
        return {}, f"not in {PHENOTYPE[1]}"
    where = f"{PHENOTYPE[1]}: sample {sample!r}"
    if sheet["_study"].upper() != barcode.study.upper():
        raise DataError(f"{where}: _study is {sheet['_study']!r}, by its id it is of {barcode.study}")
    origin, kind = sheet["primary disease or tissue"], sheet["_sample_type"]
    if kind == "Control Analyte" or barcode.sample_type_code == "20":
        return {}, "control analyte"
    if kind == "Cell Line" or (barcode.study == "GTEx" and vocabulary.is_cell_line(origin)):
        return {}, "cell line"
    if not barcode.condition:
        return {}, f"sample type code {barcode.sample_type_code} is neither tumour nor normal"
    if (barcode.condition == "normal") != ("Normal" in kind):
        raise DataError(f"{where}: _sample_type is {kind!r}, by its id it is {barcode.condition}")
    if sheet["_gender"] not in SEXES and sheet["_gender"].lower() not in UNLABELLED:
        raise DataError(f"{where}: _gender must be one of {', '.join(SEXES)} or blank, found {sheet['_gender']!r}")
    if barcode.study == "GTEx":
        site = ""
        project = vocabulary.slug(origin, where)
        tissue = vocabulary.gtex_tissue(origin, where)
    else:
        site = barcode.donor_id.split("-")[1]
        project = vocabulary.project_of_disease(origin, where)
        tissue = vocabulary.tcga_tissue(project, where)
    if tissues is not None and tissue not in tissues:
        return {}, f"tissue {tissue} was not asked for"
    sex = SEXES.get(sheet["_gender"], "")
    return barcode.row(tissue=tissue, project=project, sex=sex, collection_site=site), ""


def _parse(sample: str, where: str) -> Barcode:
    """Return what a sample id says, TARGET's and K-562's only their study; DataError beginning with `where` if nothing.

    Xena cuts TCGA's barcodes to 15 characters: the sample without its vial.
    """
    from aeflow.expression.barcodes import CONDITIONS, Barcode, parse_barcode

    if sample.startswith(("TARGET-", "K-562-SM-")):
        return Barcode(sample, "TARGET" if sample.startswith("TARGET") else "K-562", "", sample, "")
    if match := TCGA.fullmatch(sample):
        code = match["code"]
        return Barcode(sample, "TCGA", match["donor"], sample, CONDITIONS.get(code, ""), code)
    if TCGA.fullmatch(sample.replace(".", "-")):
        raise DataError(f"{where}: sample id {sample!r} has dots for dashes, as R's read.table makes them")
    barcode = parse_barcode(sample, where)
    if barcode.study == "TCGA":
        raise DataError(f"{where}: {sample!r} is a full aliquot barcode; Xena's TCGA ids have 15 characters")
    return barcode


def _check_options(kind: str, tissues: Any, symbols: str, n_genes: int) -> None:

    check_choice("kind", kind, MATRICES)
    check_choice("symbols", symbols, ("probemap", "hgnc"))
    if isinstance(n_genes, bool) or not isinstance(n_genes, int) or n_genes < 1:
        raise ConfigError(f"n_genes: must be a whole number of at least 1, found {n_genes!r}")
    check_tissues(tissues)

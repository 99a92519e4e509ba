"""GTEx portal, open access: gene reads or TPM of release v8 or v10, whole or by tissue, with sample attributes.

Options
-------
kind : "counts" (gene reads, whole numbers) or "tpm". Both linear.
release : "v8" (GENCODE v26) or "v10" (GENCODE v39). Default v8.
by_tissue : list of GTEx tissues in the form of file names, such as [kidney_cortex, minor_salivary_gland], to read the
    files of these tissues; null reads the one file of all tissues (about 1 GB). Default null.
tissues : list of words of expression/vocabulary.py. Default all.
symbols : "source" (those of the release) or "hgnc" (today's, see expression/ids.py). Default source.
gate : {max_value: linear value, action: clip | drop_var | error, max_per_obs: values}, or null for none; see
    expression/quality.py. Default none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeflow.errors import ConfigError, DataError
from aeflow.expression.obs_columns import OBS_COLUMNS_WITH_SITE as OBS_COLUMNS
from aeflow.expression.options import HGNC, check_choice, check_tissues

if TYPE_CHECKING:
    from aeflow.dataset.cohort import Cohort
    from aeflow.expression.sheets import SampleSheet
    from aeflow.expression.wide import Matrix

# The Snakefile imports this module at every start of every job, so pandas and pyarrow are imported where they are used.

KIND = "expression"
ORIGIN = "real"
SIMULATES = False
STEMS = {"counts": "gene_reads", "tpm": "gene_tpm"}
RELEASES = {  # release -> {whole matrix, one tissue, annotations}, paths below the host, bucket first
    "v8": (
        "adult-gtex/bulk-gex/v8/rna-seq/GTEx_Analysis_2017-06-05_v8_RNASeQCv1.1.9_{stem}.gct.gz",
        "gtex_analysis_v8/rna_seq_data/{stem}/{stem}_2017-06-05_v8_{tissue}.gct.gz",
        "gtex_analysis_v8/annotations/GTEx_Analysis_v8_Annotations_{sheet}.txt",
    ),
    "v10": (
        "adult-gtex/bulk-gex/v10/rna-seq/GTEx_Analysis_v10_RNASeQCv2.4.2_{stem}.gct.gz",
        "adult-gtex/bulk-gex/v10/rna-seq/{folder}-by-tissue/{stem}_v10_{tissue}.gct.gz",
        "adult-gtex/annotations/v10/metadata-files/GTEx_Analysis_v10_Annotations_{sheet}.txt",
    ),
}
FOLDERS = {"counts": "counts", "tpm": "tpms"}
ATTRIBUTES, DONORS = "SampleAttributesDS", "SubjectPhenotypesDS"
ATTRIBUTE_COLUMNS = ("SAMPID", "SMTS", "SMTSD", "SMAFRZE", "SMCENTER")
FREEZE = "RNASEQ"
TEXT = ("gene_id", "symbol")
SYMBOLS = ("source", "hgnc")


def matrices(
    kind: str,
    release: str = "v8",
    by_tissue: Sequence[str] | None = None,
    tissues: Sequence[str] | None = None,
    symbols: str = "source",
    gate: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Return {name: path} of the matrices and annotations; ConfigError, naming the option, for what does not exist.

    A path that begins with ``hgnc:`` is a file of source hgnc. `tissues` and `gate` play no part here.
    """
    _check_options(kind, release, by_tissue, tissues, symbols)
    whole, one, sheet = RELEASES[release]
    stem = STEMS[kind]
    files = {}
    for tissue in by_tissue or ():
        path = one.format(stem=stem, folder=FOLDERS[kind], tissue=tissue)
        files[f"{release}/{stem}/{tissue}"] = path
    if by_tissue is None:
        files[f"{release}/{stem}"] = whole.format(stem=stem)
    files[f"{release}/attributes"] = sheet.format(sheet=ATTRIBUTES)
    files[f"{release}/donors"] = sheet.format(sheet=DONORS)
    return files | ({"hgnc": HGNC} if symbols == "hgnc" else {})


def convert(path: Path, out: Path) -> None:
    """Write one file as Parquet: a GCT matrix (gene_id, symbol, one float32 column per sample), or a sheet.

    Raises
    ------
    DataError : naming file, line and column, for a GCT file whose header contradicts its body, values that are not
        finite non-negative numbers, ids that are not GTEx's, or a sheet without its columns.
    """
    from aeflow.expression import donors, gct, ids, sheets, wide
    from aeflow.expression.barcodes import parse_barcode

    name = Path(path).name
    if ATTRIBUTES in name:
        sheets.convert_sheet(path, out, ATTRIBUTE_COLUMNS)
    elif DONORS in name:
        donors.convert_donors(path, out)
    elif name == HGNC.partition(":")[2]:
        ids.convert_hgnc(path, out)
    else:
        wide.convert_matrix(path, out, gct.read_gct_header(path), non_negative=True, check_sample=parse_barcode)


def unify(
    files: Mapping[str, Path],
    kind: str,
    release: str = "v8",
    by_tissue: Sequence[str] | None = None,
    tissues: Sequence[str] | None = None,
    symbols: str = "source",
    gate: Mapping[str, Any] | None = None,
) -> Cohort:
    """Return the cohort of converted `files`: samples ordered by file and id, genes by symbol, those of one summed.

    Raises
    ------
    DataError : values that contradict `kind`, a sample in two files, a tissue that is not in the vocabulary, no sample
        left.
    """
    from aeflow.expression import ids, quality, stack
    from aeflow.expression.units import Measure

    _check_options(kind, release, by_tissue, tissues, symbols)
    quality.check_gate(gate)
    sheet, chosen = samples(files, kind, release, by_tissue, tissues)
    obs, dropped = sheet.finish(f"GTEx {release}")
    table = ids.read_symbols(files["hgnc"]) if symbols == "hgnc" else None
    described = {"columns": OBS_COLUMNS, "origin": ORIGIN, "kind": kind, "release": release}
    return stack.by_ensembl_id(chosen, obs, dropped, Measure(kind), table=table, gate=gate, **described)


def samples(
    files: Mapping[str, Path], kind: str, release: str, by_tissue: Sequence[str] | None, tissues: Sequence[str] | None
) -> tuple[SampleSheet, dict[str, Matrix]]:
    """Return the sample sheet and the matrices.

    Samples are taken from the matrices: the attributes list many more, of DNA and of RNA that failed.
    """
    from aeflow.expression import sheets
    from aeflow.expression.donors import read_donors
    from aeflow.expression.wide import Matrix

    attributes = sheets.rows_by(files[f"{release}/attributes"], "SAMPID", ATTRIBUTES)
    donors = read_donors(files[f"{release}/donors"])
    chosen = {
        name: Matrix(files[name], TEXT, Path(path).name)
        for name, path in sorted(matrices(kind, release, by_tissue).items())
        if name.startswith(f"{release}/gene_")
    }
    sheet = sheets.SampleSheet()
    for name, sample in sheets.samples_of(chosen):
        file = chosen[name].source_file
        slug = name.split("/")[2] if name.count("/") == 2 else None
        row, reason = _row(sample, attributes.get(sample), donors, tissues, file, slug)
        if reason:
            sheet.leave_out(sample, reason, file)
        else:
            sheet.add(row, matrix=name, column=sample, source_file=file)
    return sheet, chosen


def _row(
    sample: str,
    attributes: dict[str, str] | None,
    donors: Mapping[str, dict[str, str]],
    tissues: Sequence[str] | None,
    file: str,
    slug: str | None,
) -> tuple[dict[str, str], str]:
    """Return (row of obs, "") or ({}, why the sample is left out)."""
    from aeflow.expression import vocabulary
    from aeflow.expression.barcodes import parse_barcode

    barcode = parse_barcode(sample, file)
    if barcode.study != "GTEx":
        raise DataError(f"{file}: sample {sample!r} is not GTEx's")
    if attributes is None:
        return {}, f"not in the sample attributes ({ATTRIBUTES})"
    where = f"{ATTRIBUTES}: sample {sample!r}"
    detail = attributes["SMTSD"]
    if attributes["SMAFRZE"] != FREEZE:
        return {}, f"not in the RNA-seq freeze: SMAFRZE is {attributes['SMAFRZE'] or 'blank'}"
    project = vocabulary.slug(detail, where)
    if slug is not None and project != slug:
        raise DataError(f"{file}: by its name a file of {slug}, but sample {sample!r} is of {detail!r}")
    if vocabulary.is_cell_line(detail):
        return {}, "cell line"
    tissue = vocabulary.gtex_tissue(detail, where)
    if tissues is not None and tissue not in tissues:
        return {}, f"tissue {tissue} was not asked for"
    known = donors.get(barcode.donor_id, {})
    return barcode.row(tissue=tissue, project=project, collection_site=attributes["SMCENTER"], **known), ""


def _check_options(
    kind: str, release: str, by_tissue: Sequence[str] | None, tissues: Sequence[str] | None, symbols: str
) -> None:
    from aeflow.expression import vocabulary

    check_choice("kind", kind, STEMS)
    check_choice("release", release, RELEASES)
    check_choice("symbols", symbols, SYMBOLS)
    if by_tissue is not None:
        if isinstance(by_tissue, str) or not by_tissue or len(set(by_tissue)) < len(by_tissue):
            raise ConfigError(f"by_tissue: must be a list of different tissues, or null; found {by_tissue!r}")
        for name in by_tissue:
            if not vocabulary.SLUG.fullmatch(name):
                raise ConfigError(f"by_tissue: {name!r} is not in the form of file names, such as kidney_cortex")
    check_tissues(tissues)

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

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from aeflow.dataset.cohort import Cohort
    from aeflow.expression.wide import Matrix

# The Snakefile imports this module at every start of every job, so pandas and pyarrow are imported where they are used.

KIND = "expression"
MATRICES = {  # kind -> name, file, scale in the file, what the logarithm adds, unit
    "tpm": ("gene_tpm", "TcgaTargetGtex_rsem_gene_tpm.gz", "log2(x+0.001)", 0.001, "tpm"),
    "expected_count": ("gene_expected_count", "TcgaTargetGtex_gene_expected_count.gz", "log2(x+1)", 1.0, "counts"),
}
PHENOTYPE = ("phenotype", "TcgaTargetGTEX_phenotype.txt.gz")
PROBEMAP = ("probemap", "probeMap/gencode.v23.annotation.gene.probemap")
HGNC = ("hgnc", "hgnc:hgnc_complete_set.txt")
PHENOTYPE_COLUMNS = ("sample", "primary disease or tissue", "_sample_type", "_gender", "_study")
PROBEMAP_COLUMNS = ("id", "gene")
TCGA = re.compile(r"(?P<donor>TCGA-(?P<site>[A-Z0-9]{2})-[A-Z0-9]{4})-(?P<code>\d{2})")
SEXES = {"Male": "male", "Female": "female", "": ""}
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
    files = [MATRICES[kind][:2], PHENOTYPE, PROBEMAP, *([HGNC] if symbols == "hgnc" else [])]
    return dict(files)


def convert(path: Path, out: Path) -> None:
    """Write one file as Parquet: a matrix as stored (log2; gene_id, one float32 column per sample), or a sheet.

    A matrix is streamed: memory does not depend on the number of genes.

    Raises
    ------
    DataError : naming file, line and column, for anything but a full matrix of finite numbers with unique genes and
        known barcodes, or a sheet without its columns.
    """
    from aeflow.expression import ids, sheets

    name = Path(path).name
    if name == Path(PHENOTYPE[1]).name:
        sheets.convert_sheet(path, out, PHENOTYPE_COLUMNS, latin1=True)
    elif name == Path(PROBEMAP[1]).name:
        sheets.convert_sheet(path, out, PROBEMAP_COLUMNS)
    elif name == HGNC[1].partition(":")[2]:
        ids.convert_hgnc(path, out)
    else:
        _convert_matrix(path, out)


def _convert_matrix(path: Path, out: Path) -> None:
    from aeflow.expression import sheets, text, wide

    first, *samples = sheets.split_header(text.read_lines(path, 1)[0], f"{path}: line 1")
    if first != "sample" or not samples:
        raise DataError(f"{path}: line 1, column 1: expected 'sample' before the sample ids, found {first[:80]!r}")
    for column, sample in enumerate(samples, start=2):
        _parse(sample, f"{path}: line 1, column {column}")
    header = wide.Header({"sample": "gene_id"}, samples, n_lines=1)
    wide.convert_matrix(path, out, header, non_negative=False)


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
    import numpy as np

    from aeflow.expression import assemble, ids, quality, units, wide

    _check_options(kind, tissues, symbols, n_genes)
    quality.check_gate(gate)
    name, file, scale, offset, unit = MATRICES[kind]
    matrix = wide.Matrix(files[name], ("gene_id",))
    if len(matrix.text) != n_genes:
        raise DataError(f"{file} ({matrix.path}): {len(matrix.text)} genes, expected {n_genes}: a cut-off download?")
    obs, dropped_obs = _sample_sheet(matrix, files[PHENOTYPE[0]], file, tissues)
    table = ids.read_symbols(files[HGNC[0]]) if symbols == "hgnc" else None
    genes = ids.name_genes(*_gene_ids(matrix, files[PROBEMAP[0]], file), table, file)
    X = np.zeros((len(obs), len(genes.var)), dtype=np.float32, order="F")
    samples = obs["sample_id"].tolist()
    seen = units.RangeCheck(len(samples))
    wide.collapse(matrix, samples, genes.groups, X, seen.linear(lambda values: _inverse(values, offset)))
    units.check_scale(f"{file} ({matrix.path})", scale, samples, seen.low, seen.high)
    dropped = [*dropped_obs, *genes.dropped]
    return assemble.finish(X, obs[list(OBS_COLUMNS)], genes, dropped, unit=unit, kind=kind, gate=gate)


def _inverse(values: np.ndarray, offset: float) -> np.ndarray:
    """Return 2^values - offset, at least 0 (float32, new array)."""
    import numpy as np

    with np.errstate(over="ignore"):  # linear values in the file become infinite here and are refused by their range
        linear = np.exp2(values)
    linear -= np.float32(offset)
    # zero is stored as log2(offset) rounded to 4 decimals, which would come back as up to 7e-8 with offset 0.001
    linear[linear < offset * 1e-3] = 0
    return linear


def _gene_ids(matrix: Matrix, probemap: Path, file: str) -> tuple[np.ndarray, list[str]]:
    """Return the stable ids and the probemap's symbols of the rows; DataError for a gene it does not have."""
    import pandas as pd

    from aeflow.expression import ids

    names = pd.read_parquet(probemap)
    if names["id"].duplicated().any():
        raise DataError(f"{PROBEMAP[1]}: gene {names['id'][names['id'].duplicated()].iloc[0]!r} occurs more than once")
    rows = matrix.text["gene_id"]
    found = rows.map(names.set_index("id")["gene"])
    if found.isna().any():
        raise DataError(f"{file}: gene {rows[found.isna()].iloc[0]!r} is not in {PROBEMAP[1]}")
    return ids.stable_ids(rows, file), found.tolist()


def _sample_sheet(
    matrix: Matrix, phenotype: Path, file: str, tissues: Sequence[str] | None
) -> tuple[pd.DataFrame, list[tuple]]:
    """Return obs of the samples that belong to the cohort, ordered by id, and why the others do not."""
    import pandas as pd

    from aeflow.expression import sheets

    frame = pd.read_parquet(phenotype)
    if frame["sample"].duplicated().any():
        twice = frame["sample"][frame["sample"].duplicated()].iloc[0]
        raise DataError(f"{PHENOTYPE[1]}: sample {twice!r} occurs more than once")
    sheet = {row["sample"]: row for row in frame.to_dict("records")}
    rows, dropped = [], []
    for sample in sorted(matrix.samples):
        row, reason = _row(sample, sheet.get(sample), file, tissues)
        if reason:
            dropped.append(("obs", sample, reason, float("nan"), file))
        else:
            rows.append(row)
    return sheets.one_per_piece(rows, dropped, file)


def _row(sample: str, sheet: dict[str, str] | None, file: str, tissues: Sequence[str] | None) -> tuple[dict, str]:
    """Return (row of obs, "") or ({}, why the sample is left out)."""
    from aeflow.expression import vocabulary

    study, barcode = _parse(sample, file)
    if study == "TARGET":
        return {}, "TARGET: neither GTEx nor TCGA"
    if study == "K-562":
        return {}, "cell line"
    if sheet is None:
        return {}, f"not in {PHENOTYPE[1]}"
    where = f"{PHENOTYPE[1]}: sample {sample!r}"
    if sheet["_study"].upper() != study.upper():
        raise DataError(f"{where}: _study is {sheet['_study']!r}, by its id it is of {study}")
    origin, kind = sheet["primary disease or tissue"], sheet["_sample_type"]
    if kind == "Control Analyte" or barcode["sample_type_code"] == "20":
        return {}, "control analyte"
    if kind == "Cell Line" or (study == "GTEx" and vocabulary.is_cell_line(origin)):
        return {}, "cell line"
    if not barcode["condition"]:
        return {}, f"sample type code {barcode['sample_type_code']} is neither tumour nor normal"
    if (barcode["condition"] == "normal") != ("Normal" in kind):
        raise DataError(f"{where}: _sample_type is {kind!r}, by its id it is {barcode['condition']}")
    if sheet["_gender"] not in SEXES:
        raise DataError(f"{where}: _gender must be one of {', '.join(SEXES)}or blank, found {sheet['_gender']!r}")
    if study == "GTEx":
        project, tissue = vocabulary.slug(origin, where), vocabulary.gtex_tissue(origin, where)
    else:
        project = vocabulary.project_of_disease(origin, where)
        tissue = vocabulary.tcga_tissue(project, where)
    if tissues is not None and tissue not in tissues:
        return {}, f"tissue {tissue} was not asked for"
    labels = {"study": study, "tissue": tissue, "project": project, "source_file": file}
    return barcode | labels | {"centre": "", "sex": SEXES[sheet["_gender"]], "age_bracket": ""}, ""


def _parse(sample: str, where: str) -> tuple[str, dict[str, str]]:
    """Return the study a sample id belongs to and what it says; DataError beginning with `where` if nothing."""
    from aeflow.expression.barcodes import CONDITIONS, parse_barcode

    if sample.startswith(("TARGET-", "K-562-SM-")):
        return ("TARGET" if sample.startswith("TARGET") else "K-562"), {}
    if match := TCGA.fullmatch(sample):
        code = match["code"]
        return "TCGA", {
            "sample_id": sample,
            "donor_id": match["donor"],
            "condition": CONDITIONS.get(code, ""),
            "sample_type_code": code,
            "collection_site": match["site"],
            "piece": sample,
        }
    if TCGA.fullmatch(sample.replace(".", "-")):
        raise DataError(f"{where}: sample id {sample!r} has dots for dashes, as R's read.table makes them")
    barcode = parse_barcode(sample, where)
    if barcode.study == "TCGA":
        raise DataError(f"{where}: {sample!r} is a full aliquot barcode; Xena's TCGA ids have 15 characters")
    return "GTEx", {
        "sample_id": sample,
        "donor_id": barcode.donor_id,
        "condition": "normal",
        "sample_type_code": "",
        "collection_site": "",
        "piece": barcode.piece,
    }


def _check_options(kind: str, tissues: Any, symbols: str, n_genes: int) -> None:
    from aeflow.expression.vocabulary import check_tissues

    if kind not in MATRICES:
        raise ConfigError(f"kind: {kind!r} does not exist; known: {', '.join(MATRICES)}")
    if symbols not in ("probemap", "hgnc"):
        raise ConfigError(f"symbols: {symbols!r} does not exist; known: probemap, hgnc")
    if isinstance(n_genes, bool) or not isinstance(n_genes, int) or n_genes < 1:
        raise ConfigError(f"n_genes: must be a whole number of at least 1, found {n_genes!r}")
    check_tissues(tissues)

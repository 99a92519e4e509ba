"""RNAseqDB: GTEx and TCGA gene expression processed alike (Wang et al. 2018, Sci Data 5:180061).

Options
-------
kind : "expected_count" (RSEM counts), "unnormalized" (FPKM, upper quartile scaled) or "normalized" (the same after
    ComBat). All linear.
tissues : list of `CLUSTERS` keys; a tissue stands for its GTEx file(s) and the normal and tumour files of its TCGA
    projects. Default all.
matrices : list such as [kidney-gtex, kich-tcga, kich-tcga-t] (normal) limits the choice to these. Default all.
gate : {max_value: linear value, action: clip | drop_var | error, max_per_obs: values}, or null for none; a sample with
    more gated values than max_per_obs (default 40) is dropped, see expression/quality.py. Default: clip at 2^20 for
    "normalized", whose ComBat left values up to 1e11; none for the other kinds.
donors : whether to read sex and age bracket of GTEx's donors from the sheet of GTEx v8 (source gtex); they are blank
    without it, and for TCGA. Default false.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeflow.errors import ConfigError, DataError
from aeflow.expression.obs_columns import OBS_COLUMNS

if TYPE_CHECKING:
    import numpy as np

    from aeflow.dataset.cohort import Cohort
    from aeflow.expression.samples import FileLabel

# The Snakefile imports this module at every start of every job, so pandas and polars are imported where they are used.

KIND = "expression"
UNITS = {"expected_count": "counts", "unnormalized": "fpkm", "normalized": "fpkm"}
CLUSTERS = {  # after RNAseqDB's configuration/tissue-conf.txt: what was corrected together; GTEx tissues, TCGA projects
    "prostate": ("prostate", "prad"),
    "bladder": ("bladder", "blca"),
    "breast": ("breast", "brca"),
    "thyroid": ("thyroid", "thca"),
    "stomach": ("stomach", "stad"),
    "lung": ("lung", "luad", "lusc"),
    "liver": ("liver", "lihc", "chol"),
    "kidney": ("kidney", "kirc", "kirp", "kich"),
    "colon": ("colon", "coad", "read"),
    "esophagus": ("esophagus_gas", "esophagus_muc", "esophagus_mus", "esca"),
    "uterus": ("uterus", "cervix", "ucec", "ucs", "cesc"),
    "salivary": ("salivary", "hnsc"),
}
TISSUES = {  # one word per organ over both studies, where it is not the cluster's name
    "chol": "bile_duct",
    "read": "rectum",
    "cervix": "cervix",
    "cesc": "cervix",
    "salivary": "salivary_gland",
    "hnsc": "head_neck",
}
STEM = re.compile(r"(?P<project>[a-z_]+)-rsem-(?:count|fpkm)-(?P<part>gtex|tcga|tcga-t)")
ID_COLUMNS = ("Hugo_Symbol", "Entrez_Gene_Id")
DEFAULT = "default"
DONORS = "gtex:gtex_analysis_v8/annotations/GTEx_Analysis_v8_Annotations_SubjectPhenotypesDS.txt"
DEFAULT_GATES = {"normalized": {"max_value": 2**20, "action": "clip"}}


def matrices(
    kind: str,
    tissues: Sequence[str] | None = None,
    matrices: Sequence[str] | None = None,
    gate: Mapping[str, Any] | str | None = DEFAULT,
    donors: bool = False,
) -> dict[str, str]:
    """Return {"{kind}/{file stem}": path in the repository} of the files the options choose.

    A path that begins with ``gtex:`` is a file of source gtex. Raises ConfigError, naming the option and the value, for
    what does not exist. `gate` plays no part here.
    """
    from aeflow.download.registry import known_files

    _check_kind(kind)
    for tissue in CLUSTERS if tissues is None else tissues:
        if tissue not in CLUSTERS:
            raise ConfigError(f"tissues: {tissue!r} does not exist; known: {', '.join(CLUSTERS)}")
    projects = {p for tissue in (CLUSTERS if tissues is None else tissues) for p in CLUSTERS[tissue]}
    chosen = {}
    for path in sorted(known_files("rnaseqdb")):
        stem = Path(path).name.removesuffix(".txt.gz")
        match = STEM.fullmatch(stem)
        if match and path.startswith(f"data/{kind}/") and match["project"] in projects:
            chosen[f"{match['project']}-{match['part']}"] = (f"{kind}/{stem}", path)
    for short in matrices or ():
        if short not in chosen:
            raise ConfigError(f"matrices: {short!r} does not exist for these tissues; there are {', '.join(chosen)}")
    if not chosen or (matrices is not None and not len(matrices)):
        raise ConfigError(f"tissues: {tissues!r}, matrices: {matrices!r}: no file is left")
    files = dict(value for short, value in chosen.items() if matrices is None or short in matrices)
    return files | ({"donors": DONORS} if donors else {})


def convert(path: Path, out: Path) -> None:
    """Write one gzipped matrix as Parquet: symbol, entrez_id (0 = none), one float32 column per sample; genes in rows.

    Uncompressed, because zstd would save a third of the space and take twice the time to write. GTEx's donor sheet is
    written as text.

    Raises
    ------
    DataError : naming file, line and column, for anything but a full matrix of finite non-negative numbers with unique
        gene symbols and unique, complete barcodes.
    """
    import polars as pl

    from aeflow.expression.barcodes import parse_barcode
    from aeflow.expression.donors import convert_donors
    from aeflow.expression.tsv import read_header, read_matrix
    from aeflow.files import atomic_path

    if Path(path).name == Path(DONORS).name:
        convert_donors(path, out)
        return
    for column, sample_id in enumerate(read_header(path)[len(ID_COLUMNS) :], start=len(ID_COLUMNS) + 1):
        parse_barcode(sample_id, f"{path}: line 1, column {column}")
    frame = read_matrix(path, ID_COLUMNS)
    repeated = frame["Hugo_Symbol"].is_first_distinct().not_().arg_true()
    if len(repeated):
        line, symbol = repeated[0] + 2, frame["Hugo_Symbol"][repeated[0]]
        raise DataError(f"{path}: line {line}, column 1 (Hugo_Symbol): gene {symbol!r} occurs more than once")
    entrez = frame["Entrez_Gene_Id"].str.strip_chars(" ").cast(pl.Int64, strict=False)
    wrong = (entrez.is_null() | (entrez < 0)).arg_true()
    if len(wrong):
        found = frame["Entrez_Gene_Id"][wrong[0]]
        raise DataError(f"{path}: line {wrong[0] + 2}, column 2 (Entrez_Gene_Id): not a gene id, found {found!r}")
    genes = [frame["Hugo_Symbol"].alias("symbol"), entrez.alias("entrez_id")]
    with atomic_path(out) as tmp:
        pl.DataFrame([*genes, *frame.get_columns()[2:]]).write_parquet(
            tmp, compression="uncompressed", statistics=False
        )


def unify(
    files: Mapping[str, Path],
    kind: str,
    tissues: Sequence[str] | None = None,
    matrices: Sequence[str] | None = None,
    gate: Mapping[str, Any] | str | None = DEFAULT,
    donors: bool = False,
) -> Cohort:
    """Return the aligned cohort of converted `files`, {"{kind}/{file stem}": Parquet path}.

    Genes are those that every file has, sorted by symbol; samples are ordered by file name and sample id. Nothing is
    fitted and no sample shapes another. `tissues` and `matrices` have chosen the files and play no part here.

    Raises
    ------
    DataError : naming the file, for a sample in two files, a barcode that contradicts its file, values that contradict
        the unit, or no gene in common.
    """
    from aeflow.expression.donors import read_donors

    _check_kind(kind)
    if gate == DEFAULT:
        gate = DEFAULT_GATES.get(kind)
    people = read_donors(files["donors"]) if donors else {}
    files = {name: path for name, path in files.items() if name != "donors"}
    return unify_matrices(files, UNITS[kind], gate, origin="real", kind=kind, donors=people)


def unify_matrices(
    files: Mapping[str, Path],
    unit: str,
    gate: Mapping[str, Any] | None,
    *,
    origin: str,
    kind: str,
    donors: Mapping[str, Mapping[str, str]] | None = None,
) -> Cohort:
    """Return the cohort of matrices in RNAseqDB's layout, real or simulated; `origin` says which.

    `donors` gives sex and age_bracket by donor id; those of others are blank.
    """
    import pandas as pd

    from aeflow.dataset.cohort import Cohort, dropped_frame
    from aeflow.expression import align, quality
    from aeflow.expression.samples import sample_sheet
    from aeflow.table import Table

    quality.check_gate(gate)
    if not files:
        raise DataError("unify: no matrix was given")
    labels = {name: label_of(name) for name in sorted(files)}
    axes = [align.read_axes(name, Path(files[name]), label.source_file) for name, label in labels.items()]
    obs, dropped_obs = sample_sheet(axes, labels)
    for column in ("sex", "age_bracket"):
        obs[column] = [(donors or {}).get(donor, {}).get(column, "") for donor in obs["donor_id"]]
    symbols, entrez, dropped_var, n_union = align.common_genes(axes)
    per_file: dict[str, dict[str, Any]] = {}

    def check(matrix: align.Matrix, values: np.ndarray) -> None:
        quality.check_unit(f"{matrix.name} ({matrix.path})", values, unit)
        per_file[matrix.name] = {"n_obs": values.shape[0], "n_vars": values.shape[1], "max": float(values.max())}
        per_file[matrix.name]["zero_fraction"] = float((values == 0).mean())

    X = align.stack(axes, obs, symbols, check)
    gated = quality.apply_gate(X, obs, symbols, gate)
    log = [*dropped_obs, *dropped_var, *gated.dropped]
    keep = gated.keep_var
    ids = pd.Series(entrez[keep]).astype("Int64").where(lambda e: e > 0)
    var = pd.DataFrame({"var_id": symbols[keep], "symbol": symbols[keep], "entrez_id": ids})
    figures = {
        "origin": origin,
        "kind": kind,
        "unit": unit,
        "files": per_file,
        "genes": {"intersection": len(symbols), "union": n_union, "kept": int(keep.sum())},
        "gate": gated.report,
        "n_dropped": {axis: sum(row[0] == axis for row in log) for axis in ("obs", "var")},
        **quality.describe(gated.X, gated.obs),
    }
    table = Table(gated.X, gated.obs[list(OBS_COLUMNS)], var, unit)
    return Cohort(table, dropped_frame(log), figures)


def label_of(name: str) -> FileLabel:
    """Return what a matrix name, "{folder}/{file stem}", says about its samples; DataError if it says nothing."""
    from aeflow.expression.samples import FileLabel

    stem = name.rpartition("/")[2]
    match = STEM.fullmatch(stem)
    cluster = next((c for c, projects in CLUSTERS.items() if match and match["project"] in projects), None)
    if cluster is None:
        raise DataError(f"{name}: not the name of an RNAseqDB matrix, such as kidney-rsem-count-gtex")
    project, part = match["project"], match["part"]
    study, condition = ("GTEx" if part == "gtex" else "TCGA"), ("tumour" if part == "tcga-t" else "normal")
    label = project if study == "GTEx" else project.upper()
    return FileLabel(study, label, TISSUES.get(project, cluster), condition, f"{stem}.txt.gz")


def _check_kind(kind: str) -> None:
    if kind not in UNITS:
        raise ConfigError(f"kind: {kind!r} does not exist; known: {', '.join(UNITS)}")

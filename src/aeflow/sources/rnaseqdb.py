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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeflow.errors import ConfigError, DataError
from aeflow.expression.obs_columns import OBS_COLUMNS
from aeflow.expression.options import check_choice

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from aeflow.dataset.cohort import Cohort
    from aeflow.expression.wide import Matrix

# The Snakefile imports this module at every start of every job, so pandas and polars are imported where they are used.

KIND = "expression"
ORIGIN = "real"
SIMULATES = False
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
TEXT = {"Hugo_Symbol": "symbol", "Entrez_Gene_Id": "entrez_id"}  # name in the file -> name in Parquet
DEFAULT = "default"
DONORS = "gtex:gtex_analysis_v8/annotations/GTEx_Analysis_v8_Annotations_SubjectPhenotypesDS.txt"
DEFAULT_GATES = {"normalized": {"max_value": 2**20, "action": "clip"}}


@dataclass(frozen=True)
class FileLabel:
    """What the name of a matrix file says about every sample in it."""

    study: str
    project: str
    tissue: str
    condition: str
    source_file: str


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

    check_choice("kind", kind, UNITS)
    for tissue in CLUSTERS if tissues is None else tissues:
        check_choice("tissues", tissue, CLUSTERS)
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

    GTEx's donor sheet is written as text.

    Raises
    ------
    DataError : naming file, line and column, for anything but a full matrix of finite non-negative numbers with unique
        gene symbols and unique, complete barcodes.
    """
    from aeflow.expression import wide
    from aeflow.expression.barcodes import parse_barcode

    if Path(path).name == Path(DONORS).name:
        from aeflow.expression.donors import convert_donors

        convert_donors(path, out)
    else:
        header = wide.read_header(path, TEXT, ids=("Entrez_Gene_Id",))
        wide.convert_matrix(path, out, header, non_negative=True, check_sample=parse_barcode)


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

    check_choice("kind", kind, UNITS)
    if gate == DEFAULT:
        gate = DEFAULT_GATES.get(kind)
    people = read_donors(files["donors"]) if donors else {}
    files = {name: path for name, path in files.items() if name != "donors"}
    return unify_matrices(files, UNITS[kind], gate, origin=ORIGIN, kind=kind, donors=people)


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
    import numpy as np

    from aeflow.expression import ids, quality, sheets, stack
    from aeflow.expression.units import Measure
    from aeflow.expression.wide import Matrix

    quality.check_gate(gate)
    if not files:
        raise DataError("unify: no matrix was given")
    labels = {name: label_of(name) for name in sorted(files)}
    axes = {name: Matrix(files[name], tuple(TEXT.values()), label.source_file) for name, label in labels.items()}
    sheet = sheets.SampleSheet()
    for name, sample in sheets.samples_of(axes):
        row = _row(sample, labels[name], donors or {})
        sheet.add(row, matrix=name, column=sample, source_file=labels[name].source_file)
    obs, dropped = sheet.finish("unify")
    genes = stack.read_genes(axes, "symbol", lambda cells, _: np.array(cells, dtype=object))
    common, dropped_genes, report = stack.common_genes(axes, genes)
    var, variable = _variables(axes, genes, common)
    names = ids.GeneNames(var, variable, dropped_genes, report)
    measure = Measure(unit, estimated=True)
    X, seen = stack.stack(axes, genes, obs, names, measure, every_sample=True)
    per_file = {
        name: {
            "n_obs": len(axes[name].samples),
            "n_vars": len(genes[name]),
            "max": float(found.high.max()),
            "zero_fraction": (found.n_values - found.n_present) / found.n_values,
        }
        for name, found in seen.items()
    }
    described = {"columns": OBS_COLUMNS, "origin": origin, "unit": unit, "kind": kind}
    described["cleaned_cells"] = stack.cleaned_cells(axes)
    return stack.finish(X, obs, names, dropped, gate=gate, files=per_file, **described)


def _variables(
    matrices: Mapping[str, Matrix], genes: Mapping[str, np.ndarray], common: np.ndarray
) -> tuple[pd.DataFrame, pd.Series]:
    """Return var (symbol, entrez_id) of the genes in common, and the row of each symbol.

    DataError if two matrices give a symbol different Entrez ids; 0 is none, which any id replaces.
    """
    import numpy as np
    import pandas as pd

    entrez = np.zeros(len(common), dtype=np.int64)
    origin = next(iter(matrices))
    for name, matrix in matrices.items():
        found = matrix.text().column("entrez_id").to_numpy()[pd.Index(genes[name]).get_indexer(common)]
        clash = (found != entrez) & (found != 0) & (entrez != 0)
        if clash.any():
            i = int(np.argmax(clash))
            raise DataError(f"{name}: gene {common[i]!r} has Entrez id {found[i]}, in {origin} it is {entrez[i]}")
        entrez = np.where(entrez == 0, found, entrez)
    numbers = pd.Series(entrez).astype("Int64").where(lambda e: e > 0)
    var = pd.DataFrame({"var_id": common, "symbol": common, "entrez_id": numbers})
    return var, pd.Series(np.arange(len(common)), index=common)


def _row(sample: str, label: FileLabel, donors: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the row of obs of a sample; DataError for a barcode that contradicts the file it stands in."""
    from aeflow.expression.barcodes import parse_barcode

    barcode = parse_barcode(sample, label.source_file)
    for what in ("study", "condition"):
        if getattr(barcode, what) != getattr(label, what):
            code = f" (type code {barcode.sample_type_code})" if barcode.sample_type_code else ""
            raise DataError(
                f"{label.source_file}: a file of {what} {getattr(label, what)!r} by its name, but sample "
                f"{sample!r} is {getattr(barcode, what)!r}{code}"
            )
    return barcode.row(tissue=label.tissue, project=label.project, **donors.get(barcode.donor_id, {}))


def label_of(name: str) -> FileLabel:
    """Return what a matrix name, "{folder}/{file stem}", says about its samples; DataError if it says nothing."""
    stem = name.rpartition("/")[2]
    match = STEM.fullmatch(stem)
    cluster = next((c for c, projects in CLUSTERS.items() if match and match["project"] in projects), None)
    if cluster is None:
        raise DataError(f"{name}: not the name of an RNAseqDB matrix, such as kidney-rsem-count-gtex")
    project, part = match["project"], match["part"]
    study, condition = ("GTEx" if part == "gtex" else "TCGA"), ("tumour" if part == "tcga-t" else "normal")
    label = project if study == "GTEx" else project.upper()
    return FileLabel(study, label, TISSUES.get(project, cluster), condition, f"{stem}.txt.gz")

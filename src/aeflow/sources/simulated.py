"""Simulated GTEx and TCGA counts in RNAseqDB's layout, with the truth beside them (model: expression/simulation.py).

Options
-------
tissues : list of `PROJECTS` keys.
n_gtex, n_tcga_normal, n_tcga_tumour : samples per tissue. Default 60, 40, 60; with 0 the file is not written.
n_genes : genes; those of the gene sets first, one of each set in turn, then SIM00001 and so on. Default 6000.
paired_fraction : share of the TCGA normals whose participant also gave a tumour. Default 0.5.
purity : [lowest, highest] share of tumour cells in a tumour sample, uniform. Default [0.3, 0.9].
study_effect, tumour_effect : see StudyEffect and TumourEffect; keys left out keep their defaults.
gate : as for rnaseqdb. Default none.
seed : of everything. Default 0.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aeflow.errors import ConfigError
from aeflow.expression.obs_columns import OBS_COLUMNS as OBS_COLUMNS  # the configuration is checked by it
from aeflow.expression.simulation import Genome, Group, StudyEffect, TumourEffect, draw_genome, draw_group
from aeflow.sources import rnaseqdb

if TYPE_CHECKING:
    import pandas as pd

    from aeflow.dataset.cohort import Cohort

# The Snakefile imports this module at every start of every job, so pandas and polars are imported where they are used.

KIND = "expression"
ORIGIN = "simulated"
SIMULATES = True  # rule simulate makes the raw files, from gene sets
PROJECTS = {  # tissue -> GTEx file, TCGA project; without salivary gland, which TCGA has no match for
    "prostate": ("prostate", "prad"),
    "bladder": ("bladder", "blca"),
    "breast": ("breast", "brca"),
    "thyroid": ("thyroid", "thca"),
    "stomach": ("stomach", "stad"),
    "lung": ("lung", "luad"),
    "liver": ("liver", "lihc"),
    "kidney": ("kidney", "kirc"),
    "colon": ("colon", "coad"),
    "esophagus": ("esophagus_muc", "esca"),
    "uterus": ("uterus", "ucec"),
}
FOLDER = "data/expected_count"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FIRST_ENTREZ = 900_000_001  # above every real id, so that none is mistaken for one
NO_ENTREZ_SHARE = 0.06  # of genes, as in RNAseqDB
GTEX_DONORS = 1.5  # donors per sample of one tissue; tissues draw from the same donors
DONOR_SD = 0.6  # of activities and factors, in their own unit


@dataclass(frozen=True)
class Options:
    """The options of a simulated cohort, checked; see the head of this file."""

    tissues: Sequence[str]
    n_gtex: int = 60
    n_tcga_normal: int = 40
    n_tcga_tumour: int = 60
    n_genes: int = 6000
    paired_fraction: float = 0.5
    purity: Sequence[float] = (0.3, 0.9)
    study_effect: Mapping[str, float] | None = None
    tumour_effect: Mapping[str, float] | None = None
    gate: Mapping[str, Any] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for tissue in self.tissues:
            if tissue not in PROJECTS:
                raise ConfigError(f"tissues: {tissue!r} does not exist; known: {', '.join(PROJECTS)}")
        if not self.tissues or len(set(self.tissues)) < len(self.tissues):
            raise ConfigError(f"tissues: {list(self.tissues)} must name at least one tissue, each once")
        for key, least in {"n_gtex": 0, "n_tcga_normal": 0, "n_tcga_tumour": 0, "n_genes": 50, "seed": 0}.items():
            value = getattr(self, key)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(f"{key}: must be a whole number of at least {least}, found {value!r}")
        if not self.n_gtex + self.n_tcga_normal + self.n_tcga_tumour:
            raise ConfigError("n_gtex, n_tcga_normal, n_tcga_tumour: all are 0")
        if not 0 <= self.paired_fraction <= 1:
            raise ConfigError(f"paired_fraction: must be between 0 and 1, found {self.paired_fraction!r}")
        if len(self.purity) != 2 or not 0 < self.purity[0] <= self.purity[1] <= 1:
            raise ConfigError(f"purity: must be [lowest, highest] above 0 and up to 1, found {self.purity!r}")
        for key, kind in (("study_effect", StudyEffect), ("tumour_effect", TumourEffect)):
            known = kind.__dataclass_fields__
            if not isinstance(getattr(self, key) or {}, Mapping):
                raise ConfigError(f"{key}: must be a mapping of {', '.join(known)}, found {getattr(self, key)!r}")
            for name, value in (getattr(self, key) or {}).items():
                if name not in known:
                    raise ConfigError(f"{key}.{name}: does not exist; known: {', '.join(known)}")
                if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                    raise ConfigError(f"{key}.{name}: must be a number of at least 0, found {value!r}")
        for key in ("depth_gtex", "depth_tcga"):
            if not getattr(self.study, key):
                raise ConfigError(f"study_effect.{key}: must be above 0")
        if not self.tumour.heterogeneity:
            raise ConfigError("tumour_effect.heterogeneity: must be above 0")

    @property
    def study(self) -> StudyEffect:
        return StudyEffect(**(self.study_effect or {}))

    @property
    def tumour(self) -> TumourEffect:
        return TumourEffect(**(self.tumour_effect or {}))

    def stems(self, tissue: str) -> dict[str, str]:
        """Return {"gtex" | "tcga" | "tcga-t": file stem} of a tissue, without empty files."""
        gtex, project = PROJECTS[tissue]
        names = {"gtex": gtex, "tcga": project, "tcga-t": project}
        sizes = {"gtex": self.n_gtex, "tcga": self.n_tcga_normal, "tcga-t": self.n_tcga_tumour}
        return {part: f"{names[part]}-rsem-count-{part}" for part in names if sizes[part]}


def matrices(*, cohort: str, **options: Any) -> dict[str, str]:
    """Return {"{cohort}/{file stem}": path below the folder that `simulate` fills}; ConfigError for a bad option."""
    checked = Options(**options)
    stems = [stem for tissue in checked.tissues for stem in checked.stems(tissue).values()]
    return {f"{cohort}/{stem}": f"{FOLDER}/{stem}.txt.gz" for stem in stems}


def convert(path: Path, out: Path) -> None:
    """Write one simulated matrix as Parquet, exactly as `rnaseqdb.convert` does with a real one."""
    rnaseqdb.convert(path, out)


def unify(files: Mapping[str, Path], **options: Any) -> Cohort:
    """Return the aligned cohort, exactly as `rnaseqdb.unify` does with real counts; its origin is "simulated"."""
    gate = Options(**options).gate
    return rnaseqdb.unify_matrices(files, "counts", gate, origin=ORIGIN, kind="expected_count")


def simulate(gmt: Path, folder: Path, **options: Any) -> None:
    """Write the raw files of a simulated cohort and its truth into `folder`, which appears whole or not at all.

    The bytes depend on the gene sets in `gmt` and on `options` only. Beside the matrices it holds:

    truth/obs.parquet : per sample donor, purity, strength of its tumour, depth, activity/{program}, factor/{number}.
    truth/var.parquet : per gene base, dispersion, study location and spread, detection limits, tissue/{tissue},
        tumour/{tissue} (log2 change beside the programs), factor/{number}, programs.
    truth/programs.parquet : program, symbol, loading.
    truth/shifts.parquet : tissue, program, mean change of activity in tumours.
    truth/parameters.json : every option, with its default where it was left out, and the name of the GMT file.
    """
    from aeflow.expression.genes import read_gmt
    from aeflow.files import temporary_path, write_json

    checked = Options(**options)
    sets = read_gmt(gmt)
    symbols, membership = choose_genes(sets, checked.n_genes)
    rng = np.random.default_rng([checked.seed, 0])
    genome = draw_genome(membership, list(sets), len(checked.tissues), checked.study, checked.tumour, rng)
    entrez = FIRST_ENTREZ + rng.permutation(len(symbols))
    entrez[rng.random(len(symbols)) < NO_ENTREZ_SHARE] = 0
    tmp = temporary_path(folder)
    try:
        (tmp / FOLDER).mkdir(parents=True)
        sheets = _write_matrices(tmp / FOLDER, checked, genome, list(sets), symbols, entrez)
        _write_truth(tmp / "truth", checked, genome, sets, symbols, entrez, sheets)
        given = asdict(checked) | {"study_effect": asdict(checked.study), "tumour_effect": asdict(checked.tumour)}
        write_json(given | {"gene_sets": gmt.name, "n_gene_sets": len(sets)}, tmp / "truth" / "parameters.json")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(tmp, folder)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


def choose_genes(sets: Mapping[str, Sequence[str]], n_genes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `n_genes` symbols and which set has which of them, (n_genes, n_sets) bool.

    Genes are taken from the sets in turn, so that a small number still covers every set evenly. What no matrix may call
    a gene (Reactome has one "NA", of a virus) is left out.
    """
    from aeflow.expression.symbols import fault_of_symbol

    turns = zip_longest(*sets.values())
    real = list(dict.fromkeys(gene for turn in turns for gene in turn if gene and not fault_of_symbol(gene)))[:n_genes]
    symbols = np.array(real + [f"SIM{i:05d}" for i in range(1, n_genes - len(real) + 1)], dtype=object)
    members = [set(genes) for genes in sets.values()]
    return symbols, np.array([[symbol in genes for genes in members] for symbol in symbols])


def _write_matrices(
    folder: Path, options: Options, genome: Genome, programs: list[str], symbols: np.ndarray, entrez: np.ndarray
) -> pd.DataFrame:
    """Write the matrices of every tissue; return the truth of their samples."""
    import pandas as pd

    n_programs, n_factors = genome.loadings.shape[1], genome.weights.shape[1]
    rng = np.random.default_rng([options.seed, 1])
    n_donors = int(np.ceil(GTEX_DONORS * options.n_gtex))
    donors = [f"GTEX-{code}" for code in _codes(n_donors, 5, rng)]
    donor_effects = DONOR_SD * rng.standard_normal((n_donors, n_programs + n_factors))
    sheets = []
    for t, tissue in enumerate(options.tissues):
        rng = np.random.default_rng([options.seed, 2, t])
        row_order = rng.permutation(len(symbols))
        chosen = rng.choice(n_donors, options.n_gtex, replace=False)
        n_paired = min(round(options.paired_fraction * options.n_tcga_normal), options.n_tcga_tumour)
        n_people = options.n_tcga_tumour + options.n_tcga_normal - n_paired
        site = _codes(1, 2, rng)[0]
        people = [f"TCGA-{site}-{code}" for code in _codes(n_people, 4, rng)]
        effects = DONOR_SD * rng.standard_normal((n_people, n_programs + n_factors))
        normal = np.r_[np.arange(n_paired), np.arange(options.n_tcga_tumour, n_people)]
        tumour = np.arange(options.n_tcga_tumour)
        purity = rng.uniform(*options.purity, options.n_tcga_tumour)
        parts = {
            "gtex": (0, [donors[i] for i in chosen], donor_effects[chosen], np.zeros(options.n_gtex)),
            "tcga": (1, [people[i] for i in normal], effects[normal], np.zeros(options.n_tcga_normal)),
            "tcga-t": (1, [people[i] for i in tumour], effects[tumour], purity),
        }
        for part, stem in options.stems(tissue).items():
            study, owners, donor, share = parts[part]
            group = Group(t, study, donor[:, :n_programs], donor[:, n_programs:], share)
            counts, truth = draw_group(genome, group, options.study, options.tumour, rng)
            ids = _barcodes(owners, part, t, rng)
            _write_matrix(folder / f"{stem}.txt.gz", symbols[row_order], entrez[row_order], ids, counts[:, row_order])
            sheet = {"sample_id": ids, "donor_id": owners, "tissue": tissue, "source_file": f"{stem}.txt.gz"}
            sheet |= {"purity": share, "strength": truth["strength"], "depth": truth["depth"]}
            sheet |= {f"activity/{p}": truth["activity"][:, k] for k, p in enumerate(programs)}
            sheet |= {f"factor/{f}": truth["factors"][:, f] for f in range(n_factors)}
            sheets.append(pd.DataFrame(sheet))
    return pd.concat(sheets, ignore_index=True)


def _codes(n: int, length: int, rng: np.random.Generator) -> list[str]:
    """Return n different random codes of capitals and digits."""
    codes: dict[str, None] = {}
    while len(codes) < n:
        codes["".join(ALPHABET[i] for i in rng.integers(0, len(ALPHABET), length))] = None
    return list(codes)


def _barcodes(donors: Sequence[str], part: str, tissue: int, rng: np.random.Generator) -> list[str]:
    """Return a sample barcode for each donor, in the form of GTEx (a piece number per tissue) or TCGA."""
    if part == "gtex":
        aliquots = _codes(len(donors), 5, rng)
        return [f"{donor}-{tissue + 1:02d}26-SM-{a}" for donor, a in zip(donors, aliquots, strict=True)]
    code, plate = ("11" if part == "tcga" else "01"), _codes(1, 4, rng)[0]
    return [f"{donor}-{code}A-11R-{plate}-07" for donor in donors]


def _write_matrix(path: Path, symbols: np.ndarray, entrez: np.ndarray, ids: Sequence[str], counts: np.ndarray) -> None:
    """Write counts (samples, genes) as RNAseqDB does: genes in rows, right-aligned Entrez ids, two decimals."""
    import gzip
    import io

    import polars as pl

    columns = {"Hugo_Symbol": symbols.astype(str), "Entrez_Gene_Id": [f"{e:>9d}" for e in entrez]}
    frame = pl.DataFrame(columns | dict(zip(ids, counts, strict=True)))
    text = io.BytesIO()
    frame.write_csv(text, separator="\t", float_precision=2, quote_style="never")
    path.write_bytes(gzip.compress(text.getbuffer(), compresslevel=6, mtime=0))


def _write_truth(
    folder: Path,
    options: Options,
    genome: Genome,
    sets: Mapping[str, Sequence[str]],
    symbols: np.ndarray,
    entrez: np.ndarray,
    obs: pd.DataFrame,
) -> None:
    import pandas as pd

    from aeflow.files import write_frame

    programs, member = list(sets), genome.loadings != 0
    var = {"symbol": symbols, "entrez_id": entrez, "base": genome.base, "dispersion": genome.dispersion}
    var |= {"study_location": genome.location, "study_spread": genome.spread[1]}
    var |= {f"limit/{study}": genome.limit[s] for s, study in enumerate(("GTEx", "TCGA"))}
    for name, values in (("tissue", genome.tissue), ("tumour", genome.lfc)):
        var |= {f"{name}/{tissue}": values[t] for t, tissue in enumerate(options.tissues)}
    var |= {f"factor/{f}": weights for f, weights in enumerate(genome.weights.T)}
    var["programs"] = [";".join(programs[k] for k in np.flatnonzero(row)) for row in member]
    genes, columns = np.nonzero(member)
    loadings = {"program": np.array(programs, dtype=object)[columns], "symbol": symbols[genes]}
    shift = {"tissue": np.repeat(list(options.tissues), len(programs)), "program": programs * len(options.tissues)}
    write_frame(obs, folder / "obs.parquet")
    write_frame(pd.DataFrame(var), folder / "var.parquet")
    write_frame(pd.DataFrame(loadings | {"loading": genome.loadings[member]}), folder / "programs.parquet")
    write_frame(pd.DataFrame(shift | {"shift": genome.shift.ravel()}), folder / "shifts.parquet")

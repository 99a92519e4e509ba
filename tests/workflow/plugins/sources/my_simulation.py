"""Counts that are drawn, in the layout of my_source: a second source that rule simulate makes the raw files of.

Options: n_obs, samples of each study.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aeflow.sources import my_source

if TYPE_CHECKING:
    from aeflow.dataset.cohort import Cohort

KIND = "expression"
ORIGIN = "simulated"
SIMULATES = True
OBS_COLUMNS = ("sample_id", "donor_id", "study", "tissue", "condition")
FILE = "counts.tsv"


def matrices(*, cohort: str, n_obs: int) -> dict[str, str]:
    """Return {name: path below the folder that `simulate` fills} of the one raw file."""
    return {f"{cohort}/counts": FILE}


def simulate(gmt: Path, folder: Path, *, n_obs: int) -> None:
    """Write Poisson counts of the genes of the gene sets in `gmt`."""
    import numpy as np

    genes = sorted({gene for line in gmt.read_text().splitlines() for gene in line.split("\t")[2:]})
    samples = [f"donor{i}|{study}|lung|normal" for study in ("A", "B") for i in range(n_obs)]
    counts = np.random.default_rng(0).poisson(20, (len(genes), len(samples)))
    rows = ["\t".join([gene, *map(str, row)]) for gene, row in zip(genes, counts, strict=True)]
    part = folder.with_name(f".{folder.name}.part")
    part.mkdir(parents=True)
    (part / FILE).write_text("\n".join(["\t".join(["gene", *samples]), *rows]) + "\n")
    part.rename(folder)


def convert(path: Path, out: Path) -> None:
    """Write the raw file as Parquet."""
    my_source.convert(path, out)


def unify(files: Mapping[str, Path], *, n_obs: int) -> Cohort:
    """Return the cohort of the one converted file."""
    (path,) = files.values()
    return my_source.unify({"counts": path}, file=FILE)

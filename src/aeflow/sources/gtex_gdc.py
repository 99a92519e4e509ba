"""GTEx normals from the GTEx portal and TCGA samples from the GDC, in one cohort.

Both are counted by GENCODE genes, though by different pipelines (RNA-SeQC on v26 or v39, STAR on v36), so the studies
differ more than in xena_toil. Genes are joined by Ensembl id without version, then named by TCGA's release or by HGNC.

Options: those of gtex.py (kind, release, by_tissue, tissues, symbols, gate) and gdc.py (manifest, metadata).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeflow.expression.obs_columns import OBS_COLUMNS_WITH_SITE as OBS_COLUMNS
from aeflow.sources import gdc, gtex

if TYPE_CHECKING:
    from aeflow.dataset.cohort import Cohort

KIND = "expression"
ORIGIN = "real"
SIMULATES = False
PREFIX = "gdc/"


def matrices(
    kind: str,
    manifest: str,
    metadata: str,
    release: str = "v8",
    by_tissue: Sequence[str] | None = None,
    tissues: Sequence[str] | None = None,
    symbols: str = "source",
    gate: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Return {name: "{source}:{path}"} of the files of both; ConfigError as gtex and gdc raise it."""
    files = {}
    for name, path in gtex.matrices(kind, release, by_tissue, tissues, symbols).items():
        files[name] = path if ":" in path else f"gtex:{path}"
    for name, path in gdc.matrices(kind, manifest, metadata, tissues).items():
        files[f"{PREFIX}{name}"] = f"gdc:{path}"
    return files


def convert(path: Path, out: Path) -> None:
    """Write one file as Parquet, as gdc does where the name is a file id, else as gtex does."""
    from aeflow.expression.manifest import UUID

    (gdc if UUID.fullmatch(Path(path).name) else gtex).convert(path, out)


def unify(
    files: Mapping[str, Path],
    kind: str,
    manifest: str,
    metadata: str,
    release: str = "v8",
    by_tissue: Sequence[str] | None = None,
    tissues: Sequence[str] | None = None,
    symbols: str = "source",
    gate: Mapping[str, Any] | None = None,
) -> Cohort:
    """Return the cohort of converted `files`: GTEx samples by file and id, then TCGA's by barcode; genes by symbol.

    Raises
    ------
    DataError : as gtex and gdc raise it; also for studies without a gene in common.
    """
    import pandas as pd

    from aeflow.expression import ids, quality, stack
    from aeflow.expression.units import Measure

    quality.check_gate(gate)
    matrices(kind, manifest, metadata, release, by_tissue, tissues, symbols)  # checks the options
    normals, gtex_matrices = gtex.samples(files, kind, release, by_tissue, tissues)
    tcga, gdc_matrices, model = gdc.samples(files, kind, manifest, metadata, tissues, PREFIX)
    sheets = [normals.finish(f"GTEx {release}"), tcga.finish(f"manifest {manifest}")]
    obs = pd.concat([obs for obs, _ in sheets], ignore_index=True)
    dropped = [row for _, rows in sheets for row in rows]
    table = ids.read_symbols(files["hgnc"]) if symbols == "hgnc" else None
    described = {"columns": OBS_COLUMNS, "origin": ORIGIN, "kind": kind, "release": release, "gene_model": model}
    chosen = gtex_matrices | gdc_matrices
    return stack.by_ensembl_id(chosen, obs, dropped, Measure(kind), table=table, gate=gate, **described)

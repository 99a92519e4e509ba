"""Run folders: the data a run sees, the identity of a run, and the files it leaves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aeflow.table import Table, read_table
from aeflow.views import some_rows_of

if TYPE_CHECKING:
    from torch import Tensor


def read_view(X: str | Path, obs: str | Path, var: str | Path, view: Mapping[str, list]) -> Table:
    """Return the rows of one split that `view` allows; DataError if none is left."""
    table = read_table(X, obs, var)
    rows = some_rows_of(table.obs, view, f"view on {X}")
    return table if rows.all() else table.select(rows=rows)


def gene_mask(gmt: str | Path, var: pd.DataFrame, min_genes: int) -> tuple[Tensor, dict[str, Any]]:
    """Return the mask (n_vars, n_sets) of a gene-set file over the variables of a dataset.

    With it comes what stands in model.json: the names of the sets, and how much of sets and variables is covered.
    """
    import torch

    from aeflow.expression.genes import coverage, gene_set_mask, names_for_sets, read_gmt

    sets = read_gmt(Path(gmt))
    names, vocabulary = names_for_sets(sets, var, str(gmt))
    mask, kept, report = gene_set_mask(sets, names, min_genes, str(gmt))
    described = {"gene_sets": list(kept), "gene_set_coverage": coverage(mask, report, vocabulary)}
    return torch.from_numpy(mask.astype(np.float32)), described


def data_hash(table: Table) -> str:
    """Return sha256 over a table's values and ids: equal data, equal hash, on every machine."""
    digest = hashlib.sha256(np.ascontiguousarray(table.X, dtype="<f4").tobytes())
    for ids in (table.obs["sample_id"], table.var["var_id"]):
        digest.update("\n".join(ids.astype(str)).encode())
    return digest.hexdigest()


def fingerprint(code: Iterable[str], **decides: Any) -> str:
    """Return sha256 over source files and every named thing that decides a result."""
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode())
    for path in sorted(code):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


def describe(run: dict, model, dataset: dict, *, n_train: int, n_val: int, history: pd.DataFrame, best: int) -> dict:
    """Return the content of model.json: all about a run that is not a weight, nothing that changes when repeated."""
    import torch

    import aeflow
    from aeflow.models.base import AbstractDensity

    return {
        **run,
        **{key: dataset[key] for key in ("data_hash", "origin", "unit", "unit_before_scale", "n_vars")},
        "outcome": model.outcome if isinstance(model, AbstractDensity) else None,
        "n_obs_train": n_train,
        "n_obs_val": n_val,
        "n_latent": model.n_latent,
        "n_parameters": sum(p.numel() for p in model.parameters()),
        "n_epochs": int(history["epoch"].iloc[-1]),
        "best_epoch": best,
        "versions": {"aeflow": aeflow.__version__, "torch": torch.__version__, "numpy": np.__version__},
    }


def draw_frame(X: np.ndarray, var_ids: pd.Series) -> pd.DataFrame:
    """Return generated observations (n_draws, n_vars) as a frame draw_id, then one column per variable."""
    frame = pd.DataFrame(X, columns=var_ids.astype(str))
    frame.insert(0, "draw_id", [f"draw{i:05d}" for i in range(len(X))])
    return frame


def latent_frame(sample_ids: pd.Series, split: pd.Series, z: np.ndarray) -> pd.DataFrame:
    """Return latents (n_obs, n_latent) as a frame sample_id, split, z0, z1, ..."""
    frame = pd.DataFrame(z, columns=[f"z{i}" for i in range(z.shape[1])])
    frame.insert(0, "split", split.to_numpy())
    frame.insert(0, "sample_id", sample_ids.to_numpy())
    return frame


def unscaled(X: np.ndarray, var: pd.DataFrame) -> np.ndarray:
    """Return X (n, n_vars) with the dataset's centring and scaling undone, float32."""
    return (X * var["scale"].to_numpy() + var["centre"].to_numpy()).astype(np.float32)


def read_draws(path: str | Path) -> np.ndarray:
    """Return generated observations (n_draws, n_vars), in the dataset's unit before scaling."""
    return pd.read_parquet(path).drop(columns="draw_id").to_numpy()

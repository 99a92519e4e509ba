"""Run folders: the data a run sees, the identity of a run, and the files it leaves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aeflow.dataset.dataset import data_hash as data_hash
from aeflow.dataset.dataset import read_view as read_view
from aeflow.dataset.dataset import unscaled as unscaled
from aeflow.table import Table

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from aeflow.models.base import AbstractAutoencoder, Batch
    from aeflow.training.choose import Fitted


def permuted(table: Table, seed: int) -> Table:
    """Return the table with every column shuffled by itself: the same values, no relation between variables."""
    X = np.random.default_rng(seed).permuted(table.X, axis=0)
    return Table(X, table.obs, table.var, table.unit)


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


def as_batch(table: Table, codes: Mapping[str, Any], device: torch.device) -> Batch:
    """Return all rows of a table on `device`, with the covariates that `codes` (of model.json) ask for."""
    import torch

    from aeflow.dataset.covariates import encode_covariates
    from aeflow.models.base import Batch

    covariates = encode_covariates(table.obs, dict(codes))
    given = None if covariates is None else torch.from_numpy(covariates).to(device)
    return Batch(torch.from_numpy(table.X).to(device), None, given)


def concatenated(*batches: Batch) -> Batch:
    """Return the rows of several batches as one."""
    import torch

    c = None if batches[0].covariates is None else torch.cat([batch.covariates for batch in batches])
    return batches[0]._replace(x=torch.cat([batch.x for batch in batches]), covariates=c)


def given_rows(obs: pd.DataFrame, codes: Mapping[str, Any], n_draws: int, seed: int) -> np.ndarray:
    """Return the numbers of `n_draws` training rows, with replacement: what each draw is given.

    Each combination of the classes in `codes` is equally frequent, else rare ones would hardly be generated.
    """
    rng = np.random.default_rng(seed)
    classes = [column for column in codes if "levels" in codes[column]]
    groups = list(obs.groupby(classes, sort=True).indices.values()) if classes else [np.arange(len(obs))]
    return np.array([rng.choice(groups[i % len(groups)]) for i in range(n_draws)])


def export_frames(
    model: AbstractAutoencoder, info: Mapping[str, Any], tables: list[Table], batches: list[Batch]
) -> dict[str, pd.DataFrame]:
    """Return what a model exports, as frames: observations by variables or gene sets, variables by latents.

    Matrices over observations start with sample_id and split, those over variables with var_id.
    """
    import torch

    with torch.no_grad():
        parts = [model.exports(batch) for batch in batches]
        of_variables = model.variable_exports()
    ids = pd.concat([table.obs[["sample_id", "split"]] for table in tables], ignore_index=True)
    frames = {}
    for name in parts[0] if parts else ():
        matrix = torch.cat([part[name] for part in parts]).cpu().numpy()
        columns = info["gene_sets"] if name == "gene_set_activity" else tables[0].var["var_id"].astype(str)
        frames[name] = pd.concat([ids, pd.DataFrame(matrix, columns=list(columns))], axis=1)
    for name, matrix in of_variables.items():
        frame = pd.DataFrame(matrix.cpu().numpy(), columns=[f"v{i}" for i in range(matrix.shape[1])])
        frame.insert(0, "var_id", tables[0].var["var_id"].astype(str).to_numpy())
        frames[name] = frame
    return frames


def fingerprint(code: Iterable[str], **decides: Any) -> str:
    """Return sha256 over source files and every named thing that decides a result."""
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode())
    for path in sorted(code):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


def describe(run: dict, fitted: Fitted, dataset: dict, *, n_train: int, n_val: int) -> dict:
    """Return the content of model.json: all about a run that is not a weight, nothing that changes when repeated."""
    import torch

    import aeflow
    from aeflow.models.base import AbstractDensity

    model = fitted.model
    return {
        **run,
        "hyperparameters": fitted.hyperparameters,
        "choice": fitted.choice,
        **{key: dataset[key] for key in ("data_hash", "origin", "unit", "unit_before_scale", "n_vars")},
        "outcome": model.outcome if isinstance(model, AbstractDensity) else None,
        "n_obs_train": n_train,
        "n_obs_val": n_val,
        "n_latent": model.n_latent,
        "n_parameters": sum(p.numel() for p in model.parameters()),
        "n_epochs": int(fitted.history["epoch"].iloc[-1]),
        "best_epoch": fitted.best_epoch,
        "versions": {"aeflow": aeflow.__version__, "torch": torch.__version__, "numpy": np.__version__},
    }


GIVEN = "given:"  # prefix of the columns that say what a draw was conditioned on


def draw_frame(draws: Mapping[str, np.ndarray], var_ids: pd.Series, given: pd.DataFrame) -> pd.DataFrame:
    """Return draws {sampler: (n_draws, n_vars)} as a frame sampler, draw_id, given:..., then one column a variable."""
    frames = []
    for sampler, X in draws.items():
        ids = pd.DataFrame({"sampler": sampler, "draw_id": [f"draw{i:05d}" for i in range(len(X))]})
        values = pd.DataFrame(X, columns=var_ids.astype(str))
        frames.append(pd.concat([ids, given.add_prefix(GIVEN).reset_index(drop=True), values], axis=1))
    return pd.concat(frames, ignore_index=True)


def latent_frame(sample_ids: pd.Series, split: pd.Series, z: np.ndarray) -> pd.DataFrame:
    """Return latents (n_obs, n_latent) as a frame sample_id, split, z0, z1, ..."""
    frame = pd.DataFrame(z, columns=[f"z{i}" for i in range(z.shape[1])])
    frame.insert(0, "split", split.to_numpy())
    frame.insert(0, "sample_id", sample_ids.to_numpy())
    return frame


def read_draws(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return {sampler: (n_draws, n_vars)} of the content of generated.parquet, in the unit before scaling."""
    values = [c for c in frame.columns if c not in ("sampler", "draw_id") and not c.startswith(GIVEN)]
    return {str(s): rows[values].to_numpy() for s, rows in frame.groupby("sampler", sort=False)}


def read_loadings(exports: str | Path) -> np.ndarray:
    """Return the loadings (n_vars, n_latent) that a linear model exported."""
    return pd.read_parquet(Path(exports) / "loadings.parquet").drop(columns="var_id").to_numpy(np.float64)

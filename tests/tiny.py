"""A small dataset, runs trained on it, and specifications and metrics made by hand."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from aeflow.dataset.batch import as_batch
from aeflow.dataset.covariates import CovariateCodes
from aeflow.dataset.dataset import Dataset
from aeflow.evaluation.metric import Interval, Metric, measured
from aeflow.evaluation.metric_tables import every_declaration
from aeflow.expression.masks import gene_mask
from aeflow.files import write_frame, write_json
from aeflow.models.build import build
from aeflow.run import RUN_FILES
from aeflow.table import Table
from aeflow.training.checkpoint import Checkpoint, save_tensors
from aeflow.training.choose import fit_chosen
from aeflow.training.describe import describe
from aeflow.training.fit import TrainingSettings
from aeflow.training.specification import Specification

every_declaration()  # `one` makes metrics of every part
N_VARS = 16
NORMAL = {"condition": ["normal"]}
TUMOUR_TASK = {
    "datasets": ["tiny"],
    "views": ["normal"],
    "normal": NORMAL,
    "anomaly": {"condition": ["tumour"]},
    "control": {
        "negative": {"study": ["GTEx"], "condition": ["normal"]},
        "positive": {"study": ["TCGA"], "condition": ["normal"]},
    },
}
# every built-in evaluation, as a configuration names it
ENTRIES = {
    "reconstruction": {"evaluation": "reconstruction.Reconstruction"},
    "detection": {"evaluation": "detection.anomaly.Detection"},
    "representation": {
        "evaluation": "representation.latents.Representation",
        "labels": ["tissue", "study", "condition"],
        "heads": ["logistic", "knn"],
        "batch_columns": ["study"],
    },
    "subspace": {"evaluation": "representation.subspace.Subspace"},
    "generation": {
        "evaluation": "generation.judging.Generation",
        "generate": {"n_draws": 60, "noise": True, "gmm": 2, "judge": "tissue"},
    },
    "challenge": {"evaluation": "challenge.questions.Challenge", "challenge": {"task": "tumour"}},
    "exports": {"evaluation": "exports.Exports"},
}
GENE_SETS = {"LOW": range(5), "MIDDLE": range(5, 10), "HIGH": range(10, 16)}


def tiny_table(n: int = 240, seed: int = 0) -> Table:
    """Return rows of two tissues and two studies; tumours have five genes raised. Two rows a donor, column split."""
    rng = np.random.default_rng(seed)
    obs = pd.DataFrame({"sample_id": [f"s{i}" for i in range(n)], "donor_id": [f"d{i // 2}" for i in range(n)]})
    obs["split"] = np.repeat(rng.choice(["train", "val", "test"], n // 2, p=[0.5, 0.15, 0.35]), 2)
    obs["tissue"] = rng.choice(["liver", "lung"], n)
    obs["study"] = rng.choice(["GTEx", "TCGA"], n)
    obs["condition"] = np.where((rng.random(n) < 0.3) & (obs["study"] == "TCGA"), "tumour", "normal")
    x = rng.normal(size=(n, 2)) @ np.random.default_rng(1).normal(size=(2, N_VARS))
    x += rng.normal(0, 0.3, x.shape)
    x[:, 5:10] += 1.5 * (obs["tissue"] == "lung").to_numpy()[:, None]
    x[:, :5] += 2.0 * (obs["condition"] == "tumour").to_numpy()[:, None]
    var = pd.DataFrame({"var_id": [f"ENSG{j:011d}" for j in range(N_VARS)], "symbol": [f"G{j}" for j in range(N_VARS)]})
    return Table(x.astype(np.float32), obs, var.assign(centre=6.0, scale=2.0), "standardised")


def write_dataset(folder: Path, table: Table | None = None, **facts: Any) -> Dataset:
    """Write a dataset folder in the workflow's layout, `facts` in the place of those of dataset.json, and open it."""
    table = table or tiny_table()
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "val", "test"):
        table.select(rows=(table.obs["split"] == split).to_numpy()).write(folder / f"X_{split}.parquet")
    write_frame(table.obs, folder / "obs.parquet")
    write_frame(table.var, folder / "var.parquet")
    content = {"dataset": folder.name, "origin": "simulated", "data_hash": "d" * 64, "unit": table.unit}
    content |= {"unit_before_scale": "log2_tpm1", "n_vars": table.n_vars}
    content |= {"n_obs": table.obs["split"].value_counts().to_dict()}
    write_json(content | facts, folder / "dataset.json")
    return Dataset.open(folder)


def write_gene_sets(path: Path) -> Path:
    """Write `GENE_SETS` as a GMT file of symbols."""
    lines = ["\t".join([name, "made up", *(f"G{j}" for j in genes)]) for name, genes in GENE_SETS.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


def train_run(
    folder: Path,
    dataset: Dataset,
    architecture: str,
    hyperparameters: Mapping[str, Any],
    *,
    model: str = "model",
    view: Mapping[str, Any] = NORMAL,
    condition_on: tuple[str, ...] = (),
    gene_sets: Path | None = None,
    seed: int = 0,
    epochs: int = 2,
) -> Specification:
    """Train a model on a view of a dataset and write its run folder, as the rule does."""
    train = dataset.rows("train", view)
    val = dataset.rows("val", view)
    codes = CovariateCodes.fit(train.obs, condition_on)
    settings = TrainingSettings(max_epochs=epochs, batch_size=50)
    run = {
        "dataset": dataset.name,
        "view": "normal",
        "model": model,
        "seed": seed,
        "architecture": architecture,
        "training": vars(settings),
        "view_filter": dict(view),
        "covariates": codes,
        "permuted": False,
        "n_covariates": codes.n_covariates,
    }
    mask = None
    if gene_sets:
        sets = gene_mask(gene_sets, train.var, 2)
        mask = torch.from_numpy(sets.mask)
        run |= {"gene_sets": sets.names, "gene_set_coverage": sets.coverage}
    cpu = torch.device("cpu")
    fitted = fit_chosen(
        lambda keywords: build(architecture, train.n_vars, keywords, mask, run["n_covariates"]),
        hyperparameters,
        {},
        as_batch(train, codes, cpu),
        as_batch(val, codes, cpu),
        settings,
        seed=seed,
        checkpoint=lambda name: Checkpoint(folder / "checkpoint" / name, "same"),
    )
    spec = describe(run, fitted, dataset, n_train=train.n_obs, n_val=val.n_obs)
    save_tensors(fitted.model.state_dict(), folder / RUN_FILES["weights"])
    write_frame(fitted.history, folder / RUN_FILES["history"])
    write_json(spec.as_json(), folder / RUN_FILES["specification"])
    return spec


def specification(**values: Any) -> Specification:
    """Return the specification of an autoencoder, `values` in the place of its own."""
    content: dict[str, Any] = {
        "dataset": "x",
        "view": "normal",
        "model": "ae",
        "seed": 0,
        "architecture": "pca.PCA" if values.get("model") == "pca" else "ae.AE",
        "hyperparameters": {"n_latent": 8, "n_hidden": [64]},
        "training": {"batch_size": 32, "beta": 1.0},
        "view_filter": NORMAL,
        "covariates": CovariateCodes({}),
        "permuted": False,
        "n_covariates": None,
        "choice": {},
        "data_hash": "d" * 64,
        "origin": "real",
        "unit": "standardised",
        "unit_before_scale": "log2_tpm1",
        "n_vars": 20,
        "outcome": None,
        "n_obs_train": 100,
        "n_obs_val": 20,
        "n_latent": 8,
        "n_parameters": 1000,
        "n_epochs": 5,
        "best_epoch": 2,
        "versions": {"aeflow": "0", "torch": "0", "numpy": "0"},
    }
    return Specification(**(content | values))


def one(text: str, value: float | Interval, **keys: Any) -> Metric:
    """Return the metric whose text is `text`: part/subject/score of two words/name, part/subject/name or part/name."""
    part, *words, name = text.split("/")
    (found,) = measured(part, {name: 0.0}, subject="/".join(words[:1]), score="/".join(words[1:]), **keys)
    number = value if isinstance(value, Interval) else Interval(value, math.nan, math.nan)
    return replace(found, **number._asdict())


def by_text(metrics: list[Metric]) -> dict[str, Metric]:
    """Return {text of the metric: metric}."""
    return {metric.text: metric for metric in metrics}


def values_of(metrics: list[Metric]) -> dict[str, float]:
    """Return {text of the metric: its value}."""
    return {metric.text: metric.value for metric in metrics}

"""What a gallery figure is drawn from: trained runs, each in its role, and the test rows of their dataset."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from aeflow.dataset.batch import as_batch
from aeflow.dataset.covariates import CovariateCodes
from aeflow.evaluation.task import Task
from aeflow.files import read_json
from aeflow.models.base import AbstractAutoencoder, Batch
from aeflow.models.build import load_model
from aeflow.plots.style import styled
from aeflow.scoring.forward import encode_all, reconstruct_all
from aeflow.table import Table


@dataclass(frozen=True)
class ShownRun:
    """One trained run; `scores` only where the figure reads them."""

    model: AbstractAutoencoder
    info: Mapping[str, Any]  # model.json
    history: pd.DataFrame
    scores: pd.DataFrame | None = None

    @property
    def name(self) -> str:
        return self.info["model"]


@dataclass(frozen=True)
class Material:
    """Runs by role, test rows, and masks of the task's groups.

    obs : annotations of all splits; masks (len(obs),) of normal, anomaly and, where the task has a control,
        control_negative and control_positive; {} without a task.
    control : what the task's control compares, "" without one.
    """

    runs: Mapping[str, ShownRun]
    test: Table
    obs: pd.DataFrame
    masks: Mapping[str, np.ndarray]
    device: torch.device
    control: str = ""

    @property
    def info(self) -> Mapping[str, Any]:
        """What all runs share: dataset, view, origin, units, seed."""
        return next(iter(self.runs.values())).info

    def batch(self, run: ShownRun, rows: np.ndarray | slice = slice(None)) -> Batch:
        """Return test rows as the run's model takes them."""
        table = self.test if isinstance(rows, slice) else self.test.select(rows=rows)
        return as_batch(table, CovariateCodes.from_json(run.info["covariates"]), self.device)

    def encode(self, run: ShownRun, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return latents (n, n_latent) of test rows."""
        return encode_all(run.model, self.batch(run, rows))

    def reconstruct(self, run: ShownRun, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return x_hat (n, n_vars) of test rows."""
        return reconstruct_all(run.model, self.batch(run, rows)).cpu().numpy()

    def generator(self) -> torch.Generator:
        """Return a source of draws that is the same every time the figure is drawn."""
        return torch.Generator(self.device).manual_seed(0)

    def test_mask(self, group: str) -> np.ndarray:
        """Return the mask (n_test,) of one of the task's groups among test rows."""
        chosen = set(self.obs["sample_id"][self.masks[group]])
        return self.test.obs["sample_id"].isin(chosen).to_numpy()

    def title(self, text: str) -> str:
        """Return the text between the dataset and what else tells its runs."""
        return f"{self.info['dataset']}: {text}. View {self.info['view']}, seed {self.info['seed']}"


def read_material(
    runs: Mapping[str, Sequence[str | Path | None]],
    tables: tuple[str | Path, str | Path, str | Path],
    *,
    device: torch.device,
    view: Mapping[str, list],
    task: Mapping[str, Any] | None,
) -> Material:
    """Read what a figure is drawn from.

    runs : role -> model.safetensors, model.json, history.parquet, and scores.parquet or None.
    tables : X_test, obs, var.
    """
    found = {
        role: ShownRun(
            load_model(weights, description, device),
            read_json(description),
            pd.read_parquet(history),
            None if scores is None else pd.read_parquet(scores),
        )
        for role, (weights, description, history, scores) in runs.items()
    }
    obs = pd.read_parquet(tables[1])
    masks = _masks(obs, Task.of_entry("of the gallery", task, view)) if task else {}
    sides = [task["control"][side] for side in ("negative", "positive")] if task and "control" in task else []
    control = " vs ".join(" ".join(str(v) for values in side.values() for v in values) for side in sides)
    return Material(found, Table.read(*tables), obs, masks, device, control)


def _masks(obs: pd.DataFrame, task: Task) -> dict[str, np.ndarray]:
    rows = task.masks(obs, "test")
    masks = {"normal": rows.normal, "anomaly": rows.anomaly}
    control = task.control_rows(obs, "test")
    if control is not None:
        masks |= {"control_negative": control.negative, "control_positive": control.positive}
    return masks


def draw(name: str, material: Material) -> Figure:
    """Return the figure `name`, file.function below aeflow/plots/gallery, in the style of all figures."""
    file, function = name.split(".")
    module = importlib.import_module(f"aeflow.plots.gallery.{file}")
    return styled(getattr(module, function))(material)

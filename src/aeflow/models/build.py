"""Models by import path, and their files: model.safetensors (weights) beside model.json (everything else)."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from aeflow.files import read_json
from aeflow.models.base import AbstractAutoencoder


def build(
    architecture: str,
    n_vars: int,
    hyperparameters: dict[str, Any],
    mask: Tensor | None = None,
    n_covariates: int | None = None,
):
    """Return a new model, e.g. `architecture` "vae.VAE"; weights come from torch's global generator.

    mask : (n_vars, n_sets), for models whose constructor takes one (gene sets).
    n_covariates : columns of the covariates, for conditional models.
    """
    module, name = architecture.rsplit(".", 1)
    cls = getattr(importlib.import_module(f"aeflow.models.{module}"), name)
    data = {"mask": mask, "n_covariates": n_covariates}
    return cls(n_vars, **{key: value for key, value in data.items() if value is not None}, **hyperparameters)


def load_model(weights: str | Path, description: str | Path, device: torch.device) -> AbstractAutoencoder:
    """Return the trained model in evaluation mode on `device`."""
    info = read_json(description)
    state = load_file(weights)
    model = build(
        info["architecture"], info["n_vars"], info["hyperparameters"], state.get("mask"), info.get("n_covariates")
    )
    model.load_state_dict(state)
    return model.to(device).eval()

"""The specification of a trained run, and the fingerprint that identifies an interrupted training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import aeflow
from aeflow.dataset.dataset import Dataset
from aeflow.models.base import AbstractDensity
from aeflow.training.choose import Fitted
from aeflow.training.specification import Specification


def fingerprint(code: Iterable[str], **decides: Any) -> str:
    """Return sha256 over source files and every named thing that decides a result."""
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode())
    for path in sorted(code):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


def describe(run: dict[str, Any], fitted: Fitted, dataset: Dataset, *, n_train: int, n_val: int) -> Specification:
    """Return the specification of a trained run; `run` holds the request, the other arguments the outcome."""
    model = fitted.model
    return Specification(
        **run,
        hyperparameters=fitted.hyperparameters,
        choice=fitted.choice,
        data_hash=dataset.data_hash,
        origin=dataset.origin,
        unit=dataset.unit,
        unit_before_scale=dataset.unit_before_scale,
        n_vars=dataset.n_vars,
        outcome=model.outcome if isinstance(model, AbstractDensity) else None,
        n_obs_train=n_train,
        n_obs_val=n_val,
        n_latent=model.n_latent,
        n_parameters=sum(p.numel() for p in model.parameters()),
        n_epochs=int(fitted.history["epoch"].iloc[-1]),
        best_epoch=fitted.best_epoch,
        versions={"aeflow": aeflow.__version__, "torch": torch.__version__, "numpy": np.__version__},
    )

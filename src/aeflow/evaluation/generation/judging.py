"""A run's draws, read from its files and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from aeflow.errors import DataError
from aeflow.evaluation.generation.draws import Reference, baseline_metrics, chain_metrics, draw_metrics
from aeflow.evaluation.generation.judge import Judge
from aeflow.models.base import AbstractAutoencoder, AbstractMarkovChain
from aeflow.run_folder import GIVEN, read_draws
from aeflow.table import Table

CHAIN_STEPS, N_CHAINS = 1000, 200
BASELINE = "pca"  # the run that carries what knows no model


def judge_run(
    generated: str | Path,
    train: Table,
    test: Table,
    model: AbstractAutoencoder,
    judge: Judge,
    description: dict[str, Any],
    info: dict[str, Any],
    *,
    seed: int,
) -> dict[str, float]:
    """Return generation/... metrics of a run.

    train, test : rows of the run's view; description : of the judge; info : model.json. Draws are put back into the
    dataset's space (centre and scale of var), in which the judge was trained.
    """
    frame = pd.read_parquet(generated)
    centre, scale = train.var["centre"].to_numpy(), train.var["scale"].to_numpy()
    draws = {s: (x - centre) / scale for s, x in read_draws(frame).items()}
    label = description["label"]
    real = _reference(train, test, description)
    first = frame["sampler"] == frame["sampler"].iloc[0]
    given = frame.loc[first, f"{GIVEN}{label}"] if f"{GIVEN}{label}" in frame else None
    y_given = None if given is None else _codes(given, description, generated)
    metrics = draw_metrics(draws, y_given, real, judge, seed=seed)
    if info["model"] == BASELINE:
        metrics |= baseline_metrics(int(first.sum()), real, judge, seed=seed)
    if isinstance(model, AbstractMarkovChain):
        generator = torch.Generator(judge.centre.device).manual_seed(seed)
        rows = np.random.default_rng(seed).choice(test.n_obs, min(N_CHAINS, test.n_obs), replace=False)
        x = mean = torch.from_numpy(test.X[rows]).to(judge.centre.device)
        with torch.no_grad():
            for _ in range(CHAIN_STEPS):
                x, mean = model.step(x, generator)
        found = chain_metrics(mean.cpu().numpy(), real, judge, seed=seed)
        metrics |= {f"chain{CHAIN_STEPS}/{key}": value for key, value in found.items()}
    return {f"generation/{key}": float(value) for key, value in metrics.items()}


def _codes(values: pd.Series, description: dict[str, Any], where: Any) -> np.ndarray:
    """Return class numbers of the judge; DataError for a class it does not know."""
    position = {level: i for i, level in enumerate(description["levels"])}
    unknown = sorted(set(values.astype(str)) - set(position))
    if unknown:
        raise DataError(f"{where}: {description['label']} {unknown[0]!r} is no class of the judge: {list(position)}")
    return values.astype(str).map(position).to_numpy()


def _reference(train: Table, test: Table, description: dict[str, Any]) -> Reference:
    label = description["label"]
    columns = [c for c in ("study", "tissue", "condition") if c in train.obs] or [label]
    classes = train.obs[columns].astype(str).agg("/".join, axis=1).to_numpy()
    y_train, y_test = (_codes(table.obs[label], description, f"obs, {label}") for table in (train, test))
    return Reference(train.X, y_train, test.X, y_test, classes)

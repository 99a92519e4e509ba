"""Draws as a table: which sampler made each, and what a conditional model was given for it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aeflow.dataset.covariates import CovariateCodes

GIVEN = "given:"  # prefix of the columns that say what a draw was conditioned on


def given_rows(obs: pd.DataFrame, codes: CovariateCodes, n_draws: int, seed: int) -> np.ndarray:
    """Return the numbers of `n_draws` training rows, with replacement: what each draw is given.

    Each combination of the classes in `codes` is equally frequent, else rare ones would hardly be generated.
    """
    rng = np.random.default_rng(seed)
    classes = list(codes.classes)
    groups = list(obs.groupby(classes, sort=True).indices.values()) if classes else [np.arange(len(obs))]
    return np.array([rng.choice(groups[i % len(groups)]) for i in range(n_draws)])


def draw_frame(draws: dict[str, np.ndarray], var_ids: pd.Series, given: pd.DataFrame) -> pd.DataFrame:
    """Return draws {sampler: (n_draws, n_vars)} as a frame sampler, draw_id, given:..., then one column a variable."""
    frames = []
    for sampler, X in draws.items():
        ids = pd.DataFrame({"sampler": sampler, "draw_id": [f"draw{i:05d}" for i in range(len(X))]})
        values = pd.DataFrame(X, columns=var_ids.astype(str))
        frames.append(pd.concat([ids, given.add_prefix(GIVEN).reset_index(drop=True), values], axis=1))
    return pd.concat(frames, ignore_index=True)


def read_draws(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return {sampler: (n_draws, n_vars)} of the content of generated.parquet, in the unit before scaling."""
    values = [c for c in frame.columns if c not in ("sampler", "draw_id") and not c.startswith(GIVEN)]
    return {str(s): rows[values].to_numpy() for s, rows in frame.groupby("sampler", sort=False)}

"""Do two seeds of a model find the same latents?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from aeflow.evaluation.representation.clusters import seed_stability

MAX_ROWS = 5000


def stability_rows(runs: Iterable[tuple[dict[str, Any], pd.DataFrame]]) -> pd.DataFrame:
    """Return leaderboard rows of representation/stability/cka: mean linear CKA of test latents over pairs of seeds.

    runs : (model.json, content of latent.parquet) of each run of a dataset. A model of one seed, or whose latents do
    not vary at all, has no row.
    """
    latents: dict[tuple[str, str, str, str], list[np.ndarray]] = {}
    for info, frame in runs:
        z = frame.loc[frame["split"] == "test"].drop(columns=["sample_id", "split"]).to_numpy(np.float64)[:MAX_ROWS]
        latents.setdefault(tuple(info[k] for k in ("dataset", "origin", "view", "model")), []).append(z)
    rows = []
    for (dataset, origin, view, model), found in latents.items():
        if len(found) < 2 or not all(np.ptp(z, axis=0).any() for z in found):
            continue
        stability = seed_stability(found)
        row = {"dataset": dataset, "origin": origin, "view": view, "model": model, "n_seeds": len(found)}
        row |= {"metric": "representation/stability/cka", "mean": stability["cka"], "sd": np.nan, "verdict": ""}
        rows.append(row | {"higher_is_better": True})
    return pd.DataFrame(rows)

"""Agreement between the latents of a model's seeds."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from aeflow.evaluation.metric import declare, defined, metric_text
from aeflow.evaluation.representation.clusters import seed_stability
from aeflow.training.specification import Specification

MAX_ROWS = 5000
CKA = declare(
    "representation",
    "cka",
    "higher",
    "Do two seeds find the same latents? Mean linear centred kernel alignment of test latents over pairs of seeds.",
)


def stability_rows(runs: Iterable[tuple[Specification, pd.DataFrame]]) -> pd.DataFrame:
    """Return leaderboard rows of representation/stability/cka.

    runs : specification and content of latent.parquet of each run of a dataset. A model of one seed has no row, nor has
    one with a seed whose latents do not vary at all, which the log says. It is a number of a model, not of a run, so it
    has no interval and no verdict.
    """
    latents: dict[tuple[str, str, str, str], list[np.ndarray]] = {}
    for spec, frame in runs:
        z = frame.loc[frame["split"] == "test"].drop(columns=["sample_id", "split"]).to_numpy(np.float64)[:MAX_ROWS]
        latents.setdefault((spec.dataset, spec.origin, spec.view, spec.model), []).append(z)
    rows = []
    for (dataset, origin, view, model), found in latents.items():
        if len(found) < 2:
            continue
        stable = defined(f"view {view}, {model}, {CKA.name}", lambda found=found: seed_stability(found), None)
        if stable is None:
            continue
        metric = {"part": CKA.part, "subject": "stability", "score": "", "name": CKA.name}
        row = {"dataset": dataset, "origin": origin, "view": view, "model": model, **metric}
        row |= {"metric": metric_text(**metric), "direction": CKA.direction, "baseline": False}
        row |= {"n_seeds": len(found), "mean": stable["cka"], "verdict": ""}
        rows.append(row)
    return pd.DataFrame(rows)

"""All metrics of one run that need its files only, not its model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from aeflow.errors import DataError
from aeflow.evaluation.detection.anomaly import anomaly_metrics, score_columns, task_rows, validation_metrics
from aeflow.evaluation.detection.conformal import conformal_metrics, conformal_p_values, q_values
from aeflow.evaluation.detection.intervals import detection_intervals
from aeflow.evaluation.reconstruction import likelihood_metrics, reconstruction_metrics
from aeflow.evaluation.representation.latents import label_metrics, sparsity
from aeflow.views import rows_of, some_rows_of

N_RESAMPLES = 200  # of donors, for the interval of every detection metric


def run_metrics(
    scores: pd.DataFrame, obs: pd.DataFrame, model: dict[str, Any], view: dict[str, list], tasks: dict[str, Any]
) -> dict[str, float]:
    """Return the metrics of one run from its scores, as {slash-separated name: number}.

    Reconstruction and likelihood are means over the test rows that the run's view allows. Detection metrics have
    intervals over donors (samples, where there are no donors), and those of conformal p-values. A task that chooses
    its score has validation/... beside them: the same AUROCs on validation rows.
    """
    obs = obs.set_index("sample_id", drop=False).loc[scores["sample_id"]].reset_index(drop=True)
    in_view = some_rows_of(obs, view, "view") & (obs["split"] == "test").to_numpy()
    parts = {"reconstruction/test": reconstruction_metrics(scores[in_view], model["n_vars"])}
    if model["outcome"]:
        parts["likelihood/test"] = likelihood_metrics(scores[in_view], model["outcome"])
    p = calibrated(scores, obs, view)
    for name, task in tasks.items():
        masks = task_rows(obs, task, view, name)
        if task.get("choose_score"):
            parts[f"validation/{name}"] = validation_metrics(scores, obs, task, view, name)
        parts[f"anomaly/{name}"] = anomaly_metrics(scores, masks) | _intervals(scores, p, obs, masks, model["seed"])
    return {f"{prefix}/{key}": value for prefix, metrics in parts.items() for key, value in metrics.items()}


def calibrated(scores: pd.DataFrame, obs: pd.DataFrame, view: dict[str, list]) -> pd.DataFrame:
    """Return sample_id and, for every score, p:{score} and q:{score} of each test row (split conformal, BH).

    Calibration rows are the validation rows of the view: neither trained on nor tested. `obs` as the rows of scores.
    """
    split = obs["split"].to_numpy()
    calibration = (split == "val") & rows_of(obs, view, "view")
    if not calibration.any():
        raise DataError("calibration: the view has no validation row")
    test = split == "test"
    out = {"sample_id": obs["sample_id"].to_numpy()[test]}
    for name in score_columns(scores):
        p = conformal_p_values(scores[name].to_numpy()[calibration], scores[name].to_numpy()[test])
        out |= {f"p:{name}": p, f"q:{name}": q_values(p)}
    return pd.DataFrame(out)


def _intervals(
    scores: pd.DataFrame, p: pd.DataFrame, obs: pd.DataFrame, masks: dict[str, np.ndarray], seed: int
) -> dict[str, float]:
    rows = masks["normal"] | masks["anomaly"]
    label = masks["anomaly"][rows].astype(int)
    groups = obs["donor_id" if "donor_id" in obs else "sample_id"].to_numpy()[rows]
    of_test = p.set_index("sample_id").loc[obs["sample_id"].to_numpy()[rows]]
    out: dict[str, float] = {}
    for name in score_columns(scores):
        found = detection_intervals(label, scores[name].to_numpy()[rows], groups, n_resamples=N_RESAMPLES, seed=seed)
        found |= {f"conformal/{k}": v for k, v in conformal_metrics(of_test[f"p:{name}"].to_numpy(), label).items()}
        out |= {f"{name}/{key}": value for key, value in found.items()}
    return out


def latent_metrics(
    latent: pd.DataFrame, obs: pd.DataFrame, view: dict[str, list], labels: list[str], heads: list[str], seed: int
) -> dict[str, float]:
    """Return representation/... of a run's latents: what can be read off them, and how sparse they are on test rows.

    latent : content of latent.parquet; obs : of the dataset.
    """
    obs = obs.set_index("sample_id", drop=False).loc[latent["sample_id"]].reset_index(drop=True)
    z = latent[[c for c in latent.columns if c not in ("sample_id", "split")]].to_numpy(np.float64)
    in_view = rows_of(obs, view, "view")
    out = label_metrics(z, obs, in_view, labels, heads, seed)
    test = in_view & (obs["split"] == "test").to_numpy()
    out |= {f"sparsity/{key}": value for key, value in sparsity(z[test]).items()}
    return {f"representation/{key}": value for key, value in out.items()}


def raw_metrics(
    tables: list, view: dict[str, list], labels: list[str], heads: list[str], seed: int
) -> dict[str, float]:
    """Return representation/baseline/...: the same heads on the variables themselves; tables : train, test."""
    obs = pd.concat([table.obs for table in tables], ignore_index=True)
    x = np.concatenate([table.X for table in tables]).astype(np.float64)
    found = label_metrics(x, obs, rows_of(obs, view, "view"), labels, heads, seed)
    return {f"representation/baseline/{key}": value for key, value in found.items()}

"""Study probes of a dataset as it is configured: before and after its correction."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from aeflow.correction import Correction, correction_class, fit_correction
from aeflow.dataset.steps import LOG_UNITS, log2p1, normalise
from aeflow.errors import ConfigError
from aeflow.evaluation.probes.study_probes import study_probes
from aeflow.table import Table

BEFORE = "none"


def log_values(table: Table, options: dict[str, Any]) -> tuple[np.ndarray, str]:
    """Return X (n_obs, n_vars) as the correction is given it, and its unit; ConfigError if that is no log scale.

    A dataset of whole counts, for count models, is probed on log2 of its upper-quartile scaled counts.
    """
    if options.get("round") and not options["log2p1"]:
        return log2p1(normalise(table.X, "upper_quartile")), LOG_UNITS[table.unit]
    X = normalise(table.X, options["normalise"])
    unit = table.unit
    if options["log2p1"] and unit in LOG_UNITS:
        return log2p1(X), LOG_UNITS[unit]
    if unit not in LOG_UNITS.values():
        raise ConfigError(
            f"log2p1: {options['log2p1']}: study probes need log values, the cohort's unit is {unit!r}; "
            f"known: {', '.join(LOG_UNITS)}"
        )
    return X, unit


def stage_name(entry: dict[str, Any]) -> str:
    """Return what a correction is called in tables and figures: its file; of one made of steps, those of its steps."""
    steps = entry["options"].get("steps", ())
    methods = [step["method"] for step in steps] or [entry["method"]]
    return " + ".join(method.partition(".")[0] for method in methods)


def probe_dataset(
    X: np.ndarray, obs: pd.DataFrame, entry: dict[str, Any], *, n_top_vars: int | None, seed: int
) -> pd.DataFrame:
    """Return the rows of `study_probes` without and, if the dataset has one, with its correction.

    Inside a fold the correction is fitted on the training normals of that fold, whatever the dataset's own split is.

    Parameters
    ----------
    X : (n_obs, n_vars) log values of the cohort; obs : its sample sheet.
    entry : config key `correct`: method, options.
    """
    probe = partial(study_probes, X, obs, n_top_vars=n_top_vars, seed=seed)
    found = [probe(stage=BEFORE)]
    if entry["method"] != BEFORE:
        kind = correction_class(entry["method"])
        fit = partial(fit_correction, entry["method"], **entry["options"])
        found.append(
            probe(stage=stage_name(entry), correction=fit, labels=kind.labels, sees_all_rows=kind.sees_all_rows)
        )
    return pd.concat(found, ignore_index=True)


def stages(X: np.ndarray, obs: pd.DataFrame, entry: dict[str, Any], correction: Correction) -> dict[str, np.ndarray]:
    """Return {stage: X (n_obs, n_vars)}: as it is and, if there is one, after the dataset's fitted correction."""
    if entry["method"] == BEFORE:
        return {BEFORE: X}
    after = correction.apply(X, obs["study"].to_numpy(), obs[correction.labels].to_numpy())
    return {BEFORE: X, stage_name(entry): after}

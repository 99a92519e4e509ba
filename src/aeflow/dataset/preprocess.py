"""Split, normalise, transform, correct, select, scale. Each fitted step sees training rows only.

Split first: all rows of a donor go to one split. Then steps run in this order; those marked * are fitted, on the
training rows that `fit_on` allows, and applied to every row.

    binarise    values in [0, 1] drawn once as 0 or 1 (static binarisation; models draw anew: dynamic)
    round       to whole counts
    normalise   per observation: none | cpm | upper_quartile
    log2p1      log2(x + 1)
    select *    variables of largest median absolute deviation
    correct *   between studies: any method of aeflow.correction
    scale *     none | standard (centre and divide by the standard deviation)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from aeflow.correction import Correction, correction_class, fit_correction
from aeflow.dataset import SPLITS
from aeflow.errors import ConfigError, DataError
from aeflow.table import Table
from aeflow.views import some_rows_of

LOG_UNITS = {"counts": "log2_counts1", "tpm": "log2_tpm1", "fpkm": "log2_fpkm1"}


def split_by_group(groups: pd.Series, strata: pd.Series, fractions: dict[str, float], seed: int) -> np.ndarray:
    """Return the split of each row, so that a group is never divided and strata are spread evenly.

    Groups (donors) are shuffled within their stratum, the set of strata of their rows, and dealt one after the other
    to the split that lags furthest behind its fraction; a split's share of rows is off by about one group at most.

    Parameters
    ----------
    groups, strata : (n_obs,) labels.
    fractions : of train, val, test; they sum to 1.
    """
    frame = pd.DataFrame({"group": groups.to_numpy(), "stratum": strata.astype(str).to_numpy()})
    per_group = frame.groupby("group", sort=True)["stratum"].agg(key=lambda s: "|".join(sorted(set(s))), n="size")
    rng = np.random.default_rng(seed)
    per_group["draw"] = rng.permutation(len(per_group))
    per_group = per_group.sort_values(["key", "draw"])
    goal = np.array([fractions[name] for name in SPLITS])
    if not np.isclose(goal.sum(), 1.0) or (goal < 0).any():
        raise ConfigError(f"split: fractions {fractions} must be non-negative and sum to 1")
    dealt, seen, assigned = np.zeros(3), 0, {}
    for group, n in per_group["n"].items():
        seen += n
        lag = np.where(goal > 0, goal * seen - dealt, -np.inf)
        choice = int(np.argmax(lag))
        dealt[choice] += n
        assigned[group] = SPLITS[choice]
    return frame["group"].map(assigned).to_numpy()


def split_rows(obs: pd.DataFrame, options: dict[str, Any], seed: int) -> np.ndarray:
    """Return "train", "val" or "test" for each row of `obs`.

    `by: donor` splits donors with `fractions`, stratified by the columns `stratify`; `by: official` keeps the published
    test set and takes `fractions[val]` of the published training rows for validation, stratified likewise.
    """
    fractions, stratify = options["fractions"], options["stratify"]
    missing = [c for c in stratify if c not in obs]
    if missing:
        raise ConfigError(f"split.stratify: column {missing[0]!r} does not exist; there are {', '.join(obs.columns)}")
    strata = obs[stratify].astype(str).agg("/".join, axis=1) if stratify else pd.Series("", index=obs.index)
    if options["by"] == "donor":
        return split_by_group(obs["donor_id"], strata, fractions, seed)
    if "official_split" not in obs:
        raise ConfigError(f"split.by: official needs a column official_split; there are {', '.join(obs.columns)}")
    split = np.full(len(obs), "test", dtype=object)
    train = (obs["official_split"] == "train").to_numpy()
    parts = {"train": 1 - fractions["val"], "val": fractions["val"], "test": 0.0}
    split[train] = split_by_group(obs["sample_id"][train], strata[train], parts, seed)
    return split


def normalise(X: np.ndarray, method: str) -> np.ndarray:
    """Return X (n_obs, n_vars) with each row scaled by its own size; no row sees another.

    cpm: to a sum of 1e6. upper_quartile: to a 75th percentile of non-zero values of 1000 (Bullard et al. 2010,
    with the factor of Wang et al. 2018).
    """
    if method == "none":
        return X
    if method == "cpm":
        size = X.sum(1, dtype=np.float64) / 1e6
    elif method == "upper_quartile":
        size = np.array([np.percentile(row[row > 0], 75) if (row > 0).any() else 0.0 for row in X]) / 1000
    else:
        raise ConfigError(f"normalise: {method!r} does not exist; known: none, cpm, upper_quartile")
    if (size == 0).any():
        raise DataError(f"normalise: row {int(np.argmin(size))} has no value above zero")
    return (X / size[:, None]).astype(np.float32)


def fit_selection(X: np.ndarray, n_top: int | None) -> np.ndarray:
    """Return the indices (ascending) of the `n_top` variables of largest median absolute deviation over rows of X.

    None keeps every variable. Ties are broken by order; variables that do not vary at all are never chosen.
    """
    if n_top is None:
        return np.arange(X.shape[1])
    spread = np.ptp(X, axis=0)
    mad = np.median(np.abs(X - np.median(X, axis=0)), axis=0)
    # where more than half of a variable's rows are equal its MAD is 0: such variables follow, by standard deviation
    order = np.lexsort((-X.std(0), -mad))
    return np.sort(order[: min(n_top, int((spread > 0).sum()))])


def fit_scale(X: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return centre and scale (n_vars,) from rows of X; a constant variable has scale 1."""
    if method == "none":
        return np.zeros(X.shape[1]), np.ones(X.shape[1])
    if method != "standard":
        raise ConfigError(f"scale: {method!r} does not exist; known: none, standard")
    sd = X.std(0, dtype=np.float64)
    return X.mean(0, dtype=np.float64), np.where(sd > 0, sd, 1.0)


def correct(X: np.ndarray, obs: pd.DataFrame, fit_rows: np.ndarray, entry: dict[str, Any]) -> Correction | None:
    """Return the correction of config key `correct`, fitted on `fit_rows` of X (n_obs, n_vars); None for none.

    A method that the field fits on every row (wang2018) is given every row, and says so in the log.
    """
    if entry["method"] == "none":
        return None
    kind = correction_class(entry["method"])
    rows = np.ones(len(X), dtype=bool) if kind.sees_all_rows else fit_rows
    labels = obs[kind.labels].to_numpy()[rows]
    return fit_correction(entry["method"], X[rows], obs["study"].to_numpy()[rows], labels, **entry["options"])


def preprocess(
    table: Table, options: dict[str, Any], fit_on: dict[str, list], seed: int
) -> tuple[Table, dict[str, Any], Correction | None]:
    """Return the whole table after all steps, with obs column ``split``, the fitted state (JSON-able), the correction.

    Parameters
    ----------
    table : a cohort, unit as the source declares it.
    options : split, binarise, round, normalise, log2p1, correct, n_top_vars, scale (config key `datasets`).
    fit_on : filter on training rows that fitted steps may see, e.g. normals only.
    seed : of the split.
    """
    split = split_rows(table.obs, options["split"], seed)
    for name in SPLITS:
        if not (split == name).any():
            raise DataError(f"split: no row is left for {name!r} of {len(split)} rows")
    fit_rows = (split == "train") & some_rows_of(table.obs, fit_on, "fit_on")
    if not fit_rows.any():
        raise DataError(f"fit_on: {fit_on} leaves no training row")
    if options["round"] and table.unit != "counts":
        raise ConfigError(f"round: true, but the cohort's unit is {table.unit!r}, not counts")
    X = np.rint(table.X) if options["round"] else table.X
    if options["binarise"]:
        if X.min() < 0 or X.max() > 1:
            raise ConfigError(f"binarise: true, but values lie in [{X.min():g}, {X.max():g}], not in [0, 1]")
        X = (np.random.default_rng(seed).random(X.shape, dtype=np.float32) < X).astype(np.float32)
    X = normalise(X, options["normalise"])
    unit = table.unit
    if options["log2p1"]:
        if unit not in LOG_UNITS:
            raise ConfigError(f"log2p1: true, but the cohort's unit is {unit!r}; known: {', '.join(LOG_UNITS)}")
        X, unit = np.log2(X + np.float32(1)), LOG_UNITS[unit]
    keep = fit_selection(X[fit_rows], options["n_top_vars"])
    X = X[:, keep]
    correction = correct(X, table.obs, fit_rows, options["correct"])
    if correction:
        labels = table.obs[correction.labels].to_numpy()
        X, unit = correction.apply(X, table.obs["study"].to_numpy(), labels), "log2_corrected"
    centre, scale = fit_scale(X[fit_rows], options["scale"])
    if options["scale"] != "none":
        X = ((X - centre) / scale).astype(np.float32)
    var = table.var.iloc[keep].reset_index(drop=True).assign(centre=centre, scale=scale)
    state = {
        "options": options,
        "fit_on": fit_on,
        "seed": seed,
        "n_fit_rows": int(fit_rows.sum()),
        "unit_before_scale": unit,
        "var_id": var["var_id"].tolist(),
        "centre": centre.tolist(),
        "scale": scale.tolist(),
    }
    out_unit = "standardised" if options["scale"] != "none" else unit
    return Table(np.ascontiguousarray(X), table.obs.assign(split=split), var, out_unit), state, correction

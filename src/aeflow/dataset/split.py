"""Who goes where: all rows of a donor go to one split, before anything is fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from aeflow.errors import ConfigError, DataError

SPLITS = ("train", "val", "test")


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


def check_split(split: np.ndarray) -> None:
    """Raise DataError if a split has no row."""
    for name in SPLITS:
        if not (split == name).any():
            raise DataError(f"split: no row is left for {name!r} of {len(split)} rows")

"""Who goes where: the split of every row, and the training rows that fitted steps may see."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from aeflow.dataset import SPLITS
from aeflow.errors import ConfigError, DataError
from aeflow.labels import has_label
from aeflow.views import some_rows_of

log = logging.getLogger(__name__)


def split_rows(obs: pd.DataFrame, options: Mapping[str, Any], seed: int) -> np.ndarray:
    """Return "train", "val" or "test" for each row of `obs`.

    `by: donor` splits donors with `fractions`, stratified by the columns `stratify`; `by: official` keeps the published
    test set and takes `fractions[val]` of the published training rows for validation, stratified likewise.

    Raises
    ------
    ConfigError : a column that does not exist, or fractions that do not sum to 1.
    DataError : a split without rows, a row without donor, or an official split that is neither train nor test.
    """
    fractions, stratify = options["fractions"], options["stratify"]
    missing = [c for c in stratify if c not in obs]
    if missing:
        raise ConfigError(f"split.stratify: column {missing[0]!r} does not exist; there are {', '.join(obs.columns)}")
    strata = strata_of(obs, stratify)
    if options["by"] == "donor":
        known = has_label(obs["donor_id"])
        if not known.all():
            first = obs["sample_id"].iloc[int(known.argmin())]
            raise DataError(
                f"split.by: donor, but {(~known).sum()} of {len(known)} rows have no donor_id, first sample {first!r}"
            )
        split = split_by_group(obs["donor_id"], strata, fractions, seed)
    elif "official_split" not in obs:
        raise ConfigError(f"split.by: official needs a column official_split; there are {', '.join(obs.columns)}")
    else:
        official = obs["official_split"]
        other = ~official.isin(["train", "test"]).to_numpy()
        if other.any():
            raise DataError(
                f"official_split: must be train or test, found {official[other].iloc[0]!r} of sample "
                f"{obs['sample_id'][other].iloc[0]!r}"
            )
        split = np.full(len(obs), "test", dtype=object)
        train = (obs["official_split"] == "train").to_numpy()
        parts = {"train": 1 - fractions["val"], "val": fractions["val"], "test": 0.0}
        split[train] = split_by_group(obs["sample_id"][train], strata[train], parts, seed)
    for name in SPLITS:
        if not (split == name).any():
            raise DataError(f"split: no row is left for {name!r} of {len(split)} rows")
    return split


def strata_of(obs: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Return the stratum of each row (n_obs,): its labels in `columns`, joined; one and the same word for every blank.

    A row without a label must go somewhere: rows that lack it are spread as one group, and the log says how many.
    """
    parts = []
    for column in columns:
        known = has_label(obs[column])
        if not known.all():
            log.warning("split.stratify: %d of %d rows have no %s", (~known).sum(), len(known), column)
        parts.append(obs[column].astype(str).where(known, ""))
    return pd.concat(parts, axis=1).agg("/".join, axis=1) if parts else pd.Series("", index=obs.index)


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


def fitting_rows(obs: pd.DataFrame, split: np.ndarray, fit_on: Mapping[str, Sequence]) -> np.ndarray:
    """Return the mask (n_obs,) of the training rows that the filter `fit_on` allows: what fitted steps see.

    Raises DataError where none is left.
    """
    rows = (split == "train") & some_rows_of(obs, fit_on, "fit_on")
    if not rows.any():
        raise DataError(f"fit_on: {dict(fit_on)} leaves no training row")
    return rows

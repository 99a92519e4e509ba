"""How good is a cohort? A gate on absurd values, and figures for the record."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aeflow.errors import ConfigError, DataError

GATE_ACTIONS = ("clip", "drop_var", "error")
GATE_KEYS = ("max_value", "action", "max_per_obs")
# Of 913 normalized samples none has more than 25 values above 2^20 and 99 % have at most 12, most of them of
# mitochondrial genes; samples that ComBat blew up have 72 and more (docs/decisions.md).
MAX_PER_OBS = 40
N_WORST = 20

logger = logging.getLogger(__name__)


def check_gate(gate: Mapping[str, Any] | None) -> None:
    """Raise ConfigError unless `gate` is None or a gate: {max_value, action} and, if it likes, max_per_obs.

    max_value : number above 0, in the unit of the matrix.
    action : one of `GATE_ACTIONS`.
    max_per_obs : whole number of at least 0 (values), or None: no sample is dropped. Default `MAX_PER_OBS`.
    """
    if gate is None:
        return
    if not isinstance(gate, Mapping) or not {"max_value", "action"} <= set(gate) <= set(GATE_KEYS):
        raise ConfigError(
            f"gate: needs the keys max_value and action, may have max_per_obs, or must be null; found {gate!r}"
        )
    if isinstance(gate["max_value"], bool) or not isinstance(gate["max_value"], int | float) or gate["max_value"] <= 0:
        raise ConfigError(f"gate.max_value: must be a number above 0, found {gate['max_value']!r}")
    if gate["action"] not in GATE_ACTIONS:
        raise ConfigError(f"gate.action: {gate['action']!r} does not exist; known: {', '.join(GATE_ACTIONS)}")
    most = gate.get("max_per_obs", MAX_PER_OBS)
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 0):
        raise ConfigError(f"gate.max_per_obs: must be a whole number of at least 0, or null; found {most!r}")


@dataclass(frozen=True)
class Gated:
    """What a gate leaves of a matrix.

    Parameters
    ----------
    X : (n_obs kept, n_vars kept), linear.
    obs : sheet of the samples kept, in the order of X.
    keep_var : (n_vars,) bool.
    dropped : rows of the drop log: ("obs", sample_id, reason, number of its gated values, source file) per sample,
        ("var", symbol, reason, largest value, its file) per variable.
    report : JSON-able, None without a gate. n_values, n_vars, n_obs (with a gated value) and max_before are of every
        sample that was read (n_obs_read); n_obs_dropped, max_after and n_values_after are what the gate did.
    """

    X: np.ndarray
    obs: pd.DataFrame
    keep_var: np.ndarray
    dropped: list[tuple]
    report: dict[str, Any] | None


def apply_gate(X: np.ndarray, obs: pd.DataFrame, symbols: np.ndarray, gate: Mapping[str, Any] | None) -> Gated:
    """Drop samples that have too many values above the gate; clip, drop or refuse the other values above it.

    Such values are blow-ups of ComBat in the normalized matrices. A clipped value is still a large one: a sample with
    many of them is an outlier that says nothing of biology, so it does not reach the table.

    Parameters
    ----------
    X : (n_obs, n_vars), linear; changed in place by action "clip".
    obs : columns sample_id, source_file.
    symbols : (n_vars,).
    gate : checked by `check_gate`, or None for no gate. With action "error" any value above max_value is an error,
        whatever max_per_obs says.

    Raises
    ------
    DataError : for a value above max_value with action "error"; if no sample is left; if no variable is left.
    """
    keep_var = np.ones(X.shape[1], dtype=bool)
    if gate is None:
        return Gated(X, obs, keep_var, [], None)
    limit, action = np.float32(gate["max_value"]), gate["action"]
    most = gate.get("max_per_obs", MAX_PER_OBS)
    over = np.greater(X, limit)
    per_obs = over.sum(1)
    per_var = over.sum(0)
    offenders = _offenders(X, obs, symbols, np.flatnonzero(per_var), per_var)
    if action == "error" and offenders:
        worst = offenders[0]
        raise DataError(
            f"{worst['source_file']}: gene {worst['symbol']!r}, sample {worst['sample_id']!r}: value "
            f"{worst['max']:g} is above the gate {gate['max_value']:g}, as are {int(over.sum()) - 1} others"
        )
    report = {"max_value": gate["max_value"], "action": action, "max_per_obs": most}
    report |= {"n_values": int(over.sum()), "n_vars": len(offenders), "n_obs": int((per_obs > 0).sum())}
    report |= {"max_before": float(X.max()), "worst": offenders[:N_WORST]}
    dropped: list[tuple] = []
    keep_obs = np.ones(len(X), dtype=bool) if most is None else per_obs <= most
    if not keep_obs.all():
        reason = f"more than {most} values above the gate {limit:g}"
        for i in np.flatnonzero(~keep_obs):
            row = obs.iloc[i]
            dropped.append(("obs", str(row["sample_id"]), reason, float(per_obs[i]), str(row["source_file"])))
        if not keep_obs.any():
            raise DataError(f"gate {dict(gate)}: no sample is left of {len(X)}; each has {reason}")
        logger.warning("gate: %d of %d samples dropped, each with %s", len(dropped), len(X), reason)
        X = X[keep_obs]
        obs = obs[keep_obs].reset_index(drop=True)
    if action == "clip":
        np.minimum(X, limit, out=X)
    else:
        keep_var = ~over[keep_obs].any(0)
        if not keep_var.any():
            raise DataError(f"gate {dict(gate)}: no gene is left of {len(keep_var)}")
        reason = f"a value above the gate {limit:g}"
        found = _offenders(X, obs, symbols, np.flatnonzero(~keep_var), over[keep_obs].sum(0))
        dropped += [("var", o["symbol"], reason, o["max"], o["source_file"]) for o in found]
        X = X[:, keep_var]
    report |= {"n_obs_read": len(keep_obs), "n_obs_dropped": int((~keep_obs).sum())}
    report |= {"max_after": float(X.max()), "n_values_after": int(np.greater(X, limit).sum())}
    return Gated(X, obs, keep_var, dropped, report)


def gate_text(quality: Mapping[str, Any]) -> str:
    """Return a sentence on the samples that the gate of a cohort dropped, "" for one without a gate that drops samples.

    quality : the cohort's quality.json.
    """
    report = quality.get("gate")
    if report is None or report["max_per_obs"] is None:
        return ""
    number = report["n_obs_dropped"] or "none"
    return (
        f"Gate: {number} of {report['n_obs_read']} samples left out for more than {report['max_per_obs']} values above "
        f"{report['max_value']:g}."
    )


def _offenders(
    X: np.ndarray, obs: pd.DataFrame, symbols: np.ndarray, columns: np.ndarray, per_var: np.ndarray
) -> list[dict[str, Any]]:
    """Return, for each of `columns`, its largest value and where it is; largest first."""
    rows = [X[:, j].argmax() for j in columns]  # column by column: X[:, columns] could be as large as X
    found = [
        {
            "symbol": str(symbols[j]),
            "max": float(X[i, j]),
            "n_values": int(per_var[j]),
            "sample_id": str(obs["sample_id"].iloc[i]),
            "source_file": str(obs["source_file"].iloc[i]),
        }
        for i, j in zip(rows, columns, strict=True)
    ]
    return sorted(found, key=lambda o: (-o["max"], o["symbol"]))


def describe(X: np.ndarray, obs: pd.DataFrame) -> dict[str, Any]:
    """Return figures of a linear X (n_obs, n_vars): sizes by group, zeros, depth and range by study.

    Depth is the sum over the variables kept, in units of X.
    """
    depth = X.sum(1, dtype=np.float64)
    zeros = (X == 0).mean(1)
    largest = X.max(1)
    studies = {}
    for study in sorted(obs["study"].unique()):
        rows = (obs["study"] == study).to_numpy()
        studies[study] = {
            "n_obs": int(rows.sum()),
            "zero_fraction": float(zeros[rows].mean()),
            "depth_quantiles": {f"{q:g}": float(np.quantile(depth[rows], q)) for q in (0, 0.25, 0.5, 0.75, 1)},
            "max": float(largest[rows].max()),
        }
    groups = obs.groupby(["tissue", "study", "condition"]).size()
    return {
        "n_obs": int(X.shape[0]),
        "n_vars": int(X.shape[1]),
        "n_donors": int(obs["donor_id"].nunique()),
        "groups": [dict(zip(groups.index.names, key, strict=True)) | {"n_obs": int(n)} for key, n in groups.items()],
        "zero_fraction": float(zeros.mean()),
        "min": float(X.min()),
        "max": float(largest.max()),
        "studies": studies,
    }

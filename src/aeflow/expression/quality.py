"""Is a matrix what it says it is? Units against ranges, a gate on absurd values, and figures for the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from aeflow.errors import ConfigError, DataError

LOG_CEILING = 64.0  # no log2 expression reaches it; the largest value of every linear matrix seen is above 1e5
WHOLE_SHARE = 0.3  # of non-zero values: RSEM counts have 0.68 to 0.76 whole ones, FPKM matrices at most 0.03
GATE_ACTIONS = ("clip", "drop_var", "error")
N_WORST = 20


def check_unit(name: str, values: np.ndarray, unit: str) -> None:
    """Raise DataError if the range of `values` (any shape) contradicts the linear `unit` ("counts" or "fpkm")."""
    largest = float(values.max())
    if largest < LOG_CEILING:
        raise DataError(
            f"{name}: declared as {unit}, a linear unit, but its largest value is {largest:g}: "
            "this looks like log-transformed data"
        )
    present = values > 0
    whole = float((values == np.floor(values))[present].mean())
    if unit == "counts" and whole < WHOLE_SHARE:
        raise DataError(f"{name}: declared as counts, but only {whole:.1%} of its non-zero values are whole numbers")
    if unit == "fpkm" and whole > WHOLE_SHARE:
        raise DataError(f"{name}: declared as fpkm, but {whole:.1%} of its non-zero values are whole, as in counts")


def check_gate(gate: Mapping[str, Any] | None) -> None:
    """Raise ConfigError unless `gate` is None or {max_value: number above 0, action: one of `GATE_ACTIONS`}."""
    if gate is None:
        return
    if not isinstance(gate, Mapping) or set(gate) != {"max_value", "action"}:
        raise ConfigError(f"gate: needs the keys max_value and action, or must be null; found {gate!r}")
    if isinstance(gate["max_value"], bool) or not isinstance(gate["max_value"], int | float) or gate["max_value"] <= 0:
        raise ConfigError(f"gate.max_value: must be a number above 0, found {gate['max_value']!r}")
    if gate["action"] not in GATE_ACTIONS:
        raise ConfigError(f"gate.action: {gate['action']!r} does not exist; known: {', '.join(GATE_ACTIONS)}")


def apply_gate(
    X: np.ndarray, obs: pd.DataFrame, symbols: np.ndarray, gate: Mapping[str, Any] | None
) -> tuple[np.ndarray, np.ndarray, list[tuple], dict[str, Any] | None]:
    """Clip, drop or refuse values above the gate (ComBat blow-ups of the normalized matrices).

    Parameters
    ----------
    X : (n_obs, n_vars), linear; changed in place by action "clip".
    obs : columns sample_id, source_file.
    symbols : (n_vars,).
    gate : {max_value, action}, checked by `check_gate`, or None for no gate.

    Returns
    -------
    X : as given, or without the dropped variables.
    keep : (n_vars,) bool.
    dropped : ("var", symbol, reason, largest value, its file) per dropped variable.
    report : JSON-able counts before and after, and the worst variables; None without a gate.
    """
    keep = np.ones(X.shape[1], dtype=bool)
    if gate is None:
        return X, keep, [], None
    limit, action = np.float32(gate["max_value"]), gate["action"]
    over = np.greater(X, limit)
    per_var = over.sum(0)
    offenders = _offenders(X, obs, symbols, np.flatnonzero(per_var), per_var)
    if action == "error" and offenders:
        worst = offenders[0]
        raise DataError(
            f"{worst['source_file']}: gene {worst['symbol']!r}, sample {worst['sample_id']!r}: value "
            f"{worst['max']:g} is above the gate {gate['max_value']:g}, as are {int(over.sum()) - 1} others"
        )
    report = {**gate, "n_values": int(over.sum()), "n_vars": len(offenders), "n_obs": int(over.any(1).sum())}
    report |= {"max_before": float(X.max()), "worst": offenders[:N_WORST]}
    dropped = []
    if action == "clip":
        np.minimum(X, limit, out=X)
    else:
        keep = per_var == 0
        X = X[:, keep]
        dropped = [
            ("var", o["symbol"], f"a value above the gate {limit:g}", o["max"], o["source_file"]) for o in offenders
        ]
    report |= {"max_after": float(X.max()), "n_values_after": int(np.greater(X, limit).sum())}
    return X, keep, dropped, report


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
    zeros, largest = (X == 0).mean(1), X.max(1)
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

"""Transform: the steps from a cohort's raw rows to a dataset's rows, fitted once and applied to any rows.

Steps run in this order; those marked * are fitted, on the training rows that `fit_on` allows, and applied to every row.

    align       the variables of the cohort, by var_id
    binarise    values in [0, 1] drawn once as 0 or 1 (static binarisation; models draw anew: dynamic)
    round       to whole counts
    normalise   per observation: none | cpm | upper_quartile
    log2p1      log2(x + 1)
    select *    variables of largest median absolute deviation
    correct *   between studies: any correction of aeflow.correction
    scale *     none | standard (centre and divide by the standard deviation)

On disk it is transform.json and, for the correction, correction.safetensors beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aeflow.correction import Correction, correction_class, fit_correction, load_correction, save_correction
from aeflow.dataset.steps import LOG_UNITS, binarise, fit_scale, fit_selection, normalise
from aeflow.errors import ConfigError, DataError
from aeflow.files import read_json, write_json
from aeflow.table import Table
from aeflow.views import some_rows_of

FILES = {"transform": "transform.json", "correction": "correction.safetensors"}
NONE = "none"


@dataclass
class Transform:
    """Fitted preprocessing.

    Attributes
    ----------
    options : binarise, round, normalise, log2p1, correct, n_top_vars, scale (config key `datasets`), and split.
    fit_on : filter on training rows that fitted steps saw; n_fit_rows : how many there were; seed : of all draws.
    unit_in : of raw rows; unit_before_scale, unit : of what comes out before and after the last step.
    var_id_in : (n_cohort_vars,) variables of raw rows, in order; var_id : (n_vars,) those that are kept.
    centre, scale : (n_vars,) float64; zeros and ones where nothing is scaled.
    correction : None where there is none.
    """

    options: dict[str, Any]
    fit_on: dict[str, list]
    seed: int
    n_fit_rows: int
    unit_in: str
    unit_before_scale: str
    var_id_in: list[str]
    var_id: list[str]
    centre: np.ndarray
    scale: np.ndarray
    correction: Correction | None = None

    @classmethod
    def fit(
        cls, table: Table, split: np.ndarray, options: Mapping[str, Any], fit_on: Mapping[str, list], seed: int
    ) -> Transform:
        """Return the transform fitted on the training rows of a cohort that `fit_on` allows.

        split : (n_obs,) "train", "val" or "test".
        """
        return cls.fit_apply(table, split, options, fit_on, seed)[0]

    @classmethod
    def fit_apply(
        cls, table: Table, split: np.ndarray, options: Mapping[str, Any], fit_on: Mapping[str, list], seed: int
    ) -> tuple[Transform, Table]:
        """Return the fitted transform and what it makes of the cohort's rows, as `fit` and then `apply`, in one pass.

        A correction that the field fits on every row (wang2018) is given every row, and says so in the log.
        """
        fit_rows = (split == "train") & some_rows_of(table.obs, fit_on, "fit_on")
        if not fit_rows.any():
            raise DataError(f"fit_on: {fit_on} leaves no training row")
        X, unit = _by_row(table.X, table.obs, table.unit, options, seed)
        keep = fit_selection(X[fit_rows], options["n_top_vars"])
        X = X[:, keep]
        correction = _fit_correction(X, table.obs, fit_rows, options["correct"])
        if correction is not None:
            X = _corrected(X, table.obs, correction)
            unit = "log2_corrected"
        centre, scale = fit_scale(X[fit_rows], options["scale"])
        var_id = table.var["var_id"].astype(str)
        transform = cls(
            options=dict(options),
            fit_on=dict(fit_on),
            seed=seed,
            n_fit_rows=int(fit_rows.sum()),
            unit_in=table.unit,
            unit_before_scale=unit,
            var_id_in=var_id.tolist(),
            var_id=var_id.iloc[keep].tolist(),
            centre=centre,
            scale=scale,
            correction=correction,
        )
        return transform, transform._scaled(X, table.obs, table.var.iloc[keep])

    @property
    def unit(self) -> str:
        """Unit of the transformed rows."""
        return self.unit_before_scale if self.options["scale"] == NONE else "standardised"

    def apply(self, table: Table, *, fill: float | None = None) -> Table:
        """Return the dataset's rows of raw rows, of the cohort or new ones; obs stays as it is.

        var of the result has columns centre and scale beside those of `table`. A row's result depends on that row
        alone: its values and, for the correction, its study and tissue.

        Parameters
        ----------
        fill : raw value of variables that `table` lacks; None makes a missing variable an error.

        Raises
        ------
        DataError : another unit, a missing variable, or a study that the correction has never seen; named.
        """
        if table.unit != self.unit_in:
            raise DataError(f"transform: fitted on unit {self.unit_in!r}, given {table.unit!r}")
        aligned = self.align(table, fill=fill)
        X, _ = _by_row(aligned.X, aligned.obs, aligned.unit, self.options, self.seed)
        position = {name: j for j, name in enumerate(self.var_id_in)}
        keep = np.array([position[name] for name in self.var_id], dtype=int)
        X = X[:, keep]
        if self.correction is not None:
            X = _corrected(X, aligned.obs, self.correction)
        return self._scaled(X, aligned.obs, aligned.var.iloc[keep])

    def _scaled(self, X: np.ndarray, obs: pd.DataFrame, var: pd.DataFrame) -> Table:
        if self.options["scale"] != NONE:
            X = ((X - self.centre) / self.scale).astype(np.float32)
        var = var.reset_index(drop=True).assign(centre=self.centre, scale=self.scale)
        return Table(np.ascontiguousarray(X), obs, var, self.unit)

    def align(self, table: Table, *, fill: float | None = None) -> Table:
        """Return the table with the cohort's variables in their order; what the cohort does not have is left out."""
        names = table.var["var_id"].astype(str).tolist()
        if names == self.var_id_in:
            return table
        position = {name: j for j, name in enumerate(names)}
        missing = [name for name in self.var_id_in if name not in position]
        if missing and fill is None:
            raise DataError(f"transform: {len(missing)} of {len(self.var_id_in)} variables are missing: {missing[0]!r}")
        known = [name for name in self.var_id_in if name in position]
        index = np.array([position[name] for name in known], dtype=int)
        var = table.var.iloc[index].reset_index(drop=True)
        if not missing:
            return Table(np.ascontiguousarray(table.X[:, index]), table.obs, var, table.unit)
        X = np.full((table.n_obs, len(self.var_id_in)), fill, dtype=np.float32)
        X[:, [j for j, name in enumerate(self.var_id_in) if name in position]] = table.X[:, index]
        var = var.set_index("var_id", drop=False).reindex(self.var_id_in)
        return Table(X, table.obs, var.assign(var_id=self.var_id_in).reset_index(drop=True), table.unit)

    def as_json(self) -> dict[str, Any]:
        """Return the content of transform.json: all fitted state but the correction's arrays."""
        return {
            "options": self.options,
            "fit_on": self.fit_on,
            "seed": self.seed,
            "n_fit_rows": self.n_fit_rows,
            "unit_in": self.unit_in,
            "unit_before_scale": self.unit_before_scale,
            "var_id_in": self.var_id_in,
            "var_id": self.var_id,
            "centre": self.centre.tolist(),
            "scale": self.scale.tolist(),
        }

    def save(self, folder: str | Path) -> None:
        """Write transform.json and correction.safetensors; each appears whole or not at all."""
        write_json(self.as_json(), Path(folder) / FILES["transform"])
        save_correction(self.correction, Path(folder) / FILES["correction"])

    @classmethod
    def load(cls, folder: str | Path) -> Transform:
        """Return the transform that `save` wrote; DataError, naming file and key, if it is none."""
        path = Path(folder) / FILES["transform"]
        content = read_json(path)
        arrays = {key: np.array(content.pop(key, None), dtype=np.float64) for key in ("centre", "scale")}
        try:
            transform = cls(**content, **arrays)
        except TypeError as error:
            raise DataError(f"{path}: is no saved transform: {error}") from None
        if transform.options["correct"]["method"] != NONE:
            transform.correction = load_correction(Path(folder) / FILES["correction"])
        return transform


def _by_row(
    X: np.ndarray, obs: pd.DataFrame, unit: str, options: Mapping[str, Any], seed: int
) -> tuple[np.ndarray, str]:
    """Return X after the steps that treat each row by itself, and its unit."""
    if options["round"]:
        if unit != "counts":
            raise ConfigError(f"round: true, but the cohort's unit is {unit!r}, not counts")
        X = np.rint(X)
    if options["binarise"]:
        X = binarise(X, obs["sample_id"], seed)
    X = normalise(X, options["normalise"])
    if not options["log2p1"]:
        return X, unit
    if unit not in LOG_UNITS:
        raise ConfigError(f"log2p1: true, but the cohort's unit is {unit!r}; known: {', '.join(LOG_UNITS)}")
    return np.log2(X + np.float32(1)), LOG_UNITS[unit]


def _fit_correction(
    X: np.ndarray, obs: pd.DataFrame, fit_rows: np.ndarray, entry: Mapping[str, Any]
) -> Correction | None:
    """Return the correction of config key `correct`, fitted on `fit_rows` of X (n_obs, n_vars); None for none."""
    if entry["method"] == NONE:
        return None
    kind = correction_class(entry["method"])
    rows = np.ones(len(X), dtype=bool) if kind.sees_all_rows else fit_rows
    labels = obs[kind.labels].to_numpy()[rows]
    return fit_correction(entry["method"], X[rows], obs["study"].to_numpy()[rows], labels, **entry["options"])


def _corrected(X: np.ndarray, obs: pd.DataFrame, correction: Correction) -> np.ndarray:
    for column in ("study", correction.labels):
        if column not in obs:
            raise DataError(f"correction {correction.name}: needs a column {column!r}; there are {', '.join(obs)}")
    return correction.apply(X, obs["study"].to_numpy(), obs[correction.labels].to_numpy())

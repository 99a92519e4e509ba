"""Transform: every step from raw rows to what a model sees, fitted once, applied to any rows.

Steps run in this order; those marked * are fitted, on the rows that fitting may see, and applied to every row.

    align       variables in the order of the cohort, by var_id
    round       to whole counts
    binarise    values in [0, 1] drawn once as 0 or 1 (static binarisation; models draw anew: dynamic)
    normalise   per observation: none | cpm | upper_quartile; over all variables of the cohort
    log2p1      log2(x + 1)
    select *    variables of largest median absolute deviation
    correct *   between studies: any method of aeflow.correction
    scale *     none | standard (centre and divide by the standard deviation)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aeflow.correction import Correction, correction_class, fit_correction, load_correction, save_correction
from aeflow.dataset import FILES
from aeflow.dataset.split import fitting_rows
from aeflow.dataset.steps import LOG_UNITS, binarise, fit_scale, fit_selection, log2p1, normalise, scaled
from aeflow.errors import ConfigError, DataError
from aeflow.files import read_json, write_json
from aeflow.table import Table


@dataclass(frozen=True)
class Steps:
    """Which steps a dataset has: its block of the configuration without what says how rows are split.

    Parameters
    ----------
    binarise, round, log2p1 : whether the step is taken.
    normalise : none | cpm | upper_quartile.
    correct : method and, if it has some, options.
    n_top_vars : how many variables are kept; None: all.
    scale : none | standard.
    """

    binarise: bool
    round: bool
    normalise: str
    log2p1: bool
    correct: Mapping[str, Any]
    n_top_vars: int | None
    scale: str

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Steps:
        """Return the steps that a dataset's options name; ConfigError for an option that is missing."""
        names = [field.name for field in fields(cls)]
        for name in names:
            if name not in options:
                raise ConfigError(f"datasets: option {name!r} is missing; there are {', '.join(options)}")
        return cls(**{name: options[name] for name in names})

    @property
    def corrects(self) -> bool:
        return self.correct["method"] != "none"

    def unit_before_scale(self, unit: str) -> str:
        """Return the unit after every step but the last, of raw rows in `unit`."""
        if self.corrects:
            return "log2_corrected"
        return LOG_UNITS[unit] if self.log2p1 else unit

    def check(self, table: Table) -> None:
        """Raise ConfigError if a step is not made for the unit or the values of a cohort."""
        if self.round and table.unit != "counts":
            raise ConfigError(f"round: true, but the cohort's unit is {table.unit!r}, not counts")
        if self.binarise and (table.X.min() < 0 or table.X.max() > 1):
            raise ConfigError(
                f"binarise: true, but values lie in [{table.X.min():g}, {table.X.max():g}], not in [0, 1]"
            )
        if self.log2p1 and table.unit not in LOG_UNITS:
            raise ConfigError(f"log2p1: true, but the cohort's unit is {table.unit!r}; known: {', '.join(LOG_UNITS)}")

    def row_wise(self, X: np.ndarray, sample_ids: list[str], cohort_ids: tuple[str, ...], seed: int) -> np.ndarray:
        """Return X (n_obs, n_vars of the cohort) after the steps before `select`: each row by itself."""
        if self.round:
            X = np.rint(X)
        if self.binarise:
            X = binarise(X, sample_ids, cohort_ids, seed)
        X = normalise(X, self.normalise, sample_ids)
        return log2p1(X) if self.log2p1 else X


@dataclass(frozen=True)
class Transform:
    """The fitted steps of a dataset.

    Parameters
    ----------
    options : the dataset's block of the configuration; `Steps` says which of it are steps.
    fit_on : filter on training rows that fitted steps saw.
    unit : of the raw rows.
    variables : (n_raw,) var_id of the cohort, in its order: normalising needs them all.
    keep : (n_vars,) positions in `variables` of those that are selected, ascending.
    correction : fitted on the selected variables, or None.
    centre, scale : (n_vars,) in `unit_before_scale`; 0 and 1 where the dataset is not scaled.
    seed : of the draws of `binarise`.
    cohort_ids : sample_id of the cohort in its order, where `binarise` draws by it, else empty.
    n_fit_rows : rows that the fitted steps saw.
    """

    options: Mapping[str, Any]
    fit_on: Mapping[str, Sequence]
    unit: str
    variables: tuple[str, ...]
    keep: np.ndarray
    correction: Correction | None
    centre: np.ndarray
    scale: np.ndarray
    seed: int
    cohort_ids: tuple[str, ...]
    n_fit_rows: int

    @classmethod
    def fit(
        cls, table: Table, options: Mapping[str, Any], fit_on: Mapping[str, Sequence], seed: int, split: np.ndarray
    ) -> Transform:
        """Return the steps fitted on a cohort's rows of split "train" that `fit_on` allows.

        A correction that the field fits on every row (`sees_all_rows`) is given every row, and says so in the log.

        Parameters
        ----------
        split : (n_obs,) "train", "val" or "test".

        Raises
        ------
        ConfigError : a step that is not made for the cohort's unit or values, or an unknown method.
        DataError : no row to fit on, or rows that a step cannot be fitted on.
        """
        return cls.fit_apply(table, options, fit_on, seed, split)[0]

    @classmethod
    def fit_apply(
        cls, table: Table, options: Mapping[str, Any], fit_on: Mapping[str, Sequence], seed: int, split: np.ndarray
    ) -> tuple[Transform, Table]:
        """Return what `fit` returns, and the table after all steps: as `fit` and `apply`, with no step taken twice."""
        fit_rows = fitting_rows(table.obs, split, fit_on)
        steps = Steps.of(options)
        steps.check(table)
        sample_ids = table.obs["sample_id"].astype(str).tolist()
        cohort_ids = tuple(sample_ids) if steps.binarise else ()
        X = steps.row_wise(table.X, sample_ids, cohort_ids, seed)
        keep = fit_selection(X[fit_rows], steps.n_top_vars)
        X = X[:, keep]
        correction = None
        if steps.corrects:
            correction = _fitted_correction(X, table.obs, fit_rows, steps.correct)
            X = _corrected(X, table.obs, correction)
        centre, scale = fit_scale(X[fit_rows], steps.scale)
        transform = cls(
            options=options,
            fit_on=fit_on,
            unit=table.unit,
            variables=tuple(table.var["var_id"].astype(str)),
            keep=keep,
            correction=correction,
            centre=centre,
            scale=scale,
            seed=seed,
            cohort_ids=cohort_ids,
            n_fit_rows=int(fit_rows.sum()),
        )
        return transform, transform._finished(X, table.obs, table.var)

    @cached_property
    def steps(self) -> Steps:
        return Steps.of(self.options)

    @property
    def var_id(self) -> list[str]:
        """Variables after the selection (n_vars,)."""
        return [self.variables[i] for i in self.keep]

    @property
    def unit_before_scale(self) -> str:
        return self.steps.unit_before_scale(self.unit)

    def apply(
        self,
        table: Table,
        *,
        fill_missing: float | None = None,
        drop_surplus: bool = False,
        name: str = "raw rows",
    ) -> Table:
        """Return raw rows, of the cohort or new ones, after all steps; obs and the variables' annotation are theirs.

        Rows of the cohort come out as the dataset has them. Each row is treated by itself; only the matrix products
        of some corrections (in double precision, rounded to float32) may round a value otherwise in its last digit
        when a row is given with others.

        Parameters
        ----------
        table : in the cohort's unit and with its variables, in any order. Corrections need obs column ``study``, and
            some need ``tissue`` (wang2018: ``condition``).
        fill_missing : raw value, in the cohort's unit, of variables that the table lacks; None: they are an error.
        drop_surplus : leave out variables that the cohort lacks; False: they are an error.
        name : of the table, for messages.

        Raises
        ------
        DataError : another unit; missing, surplus or repeated variables; values that the unit forbids; a row without
            a value above zero that is to be normalised; a study or tissue that the correction was not fitted on.
        """
        table = self._aligned(table.check(name), fill_missing, drop_surplus, name)
        X = table.X
        if self.steps.binarise and (X < 0).any() | (X > 1).any():
            raise DataError(f"{name}: values lie in [{X.min():g}, {X.max():g}], binarise needs [0, 1]")
        X = self.steps.row_wise(X, table.obs["sample_id"].astype(str).tolist(), self.cohort_ids, self.seed)
        X = X[:, self.keep]
        if self.correction is not None:
            X = _corrected(X, table.obs, self.correction)
        return self._finished(X, table.obs, table.var)

    def _finished(self, X: np.ndarray, obs: pd.DataFrame, var: pd.DataFrame) -> Table:
        """Return the table of selected and corrected X (n, n_vars), scaled; `var` is the cohort's."""
        unit = self.unit_before_scale
        if self.steps.scale != "none":
            X = scaled(X, self.centre, self.scale)
            unit = "standardised"
        var = var.iloc[self.keep].reset_index(drop=True).assign(centre=self.centre, scale=self.scale)
        return Table(np.ascontiguousarray(X), obs, var, unit)

    def _aligned(self, table: Table, fill_missing: float | None, drop_surplus: bool, name: str) -> Table:
        """Return the table with the cohort's variables in the cohort's order."""
        if table.unit != self.unit:
            raise DataError(f"{name}: unit {table.unit!r}, but the dataset was made from {self.unit!r}")
        found = table.var["var_id"].astype(str).tolist()
        if found == list(self.variables):
            return table
        position = {var_id: j for j, var_id in enumerate(found)}
        if len(position) < len(found):  # ids of different types that read alike
            repeated = next(var_id for j, var_id in enumerate(found) if position[var_id] != j)
            raise DataError(f"{name}: variable {repeated!r} occurs more than once")
        missing = [var_id for var_id in self.variables if var_id not in position]
        if missing and fill_missing is None:
            raise DataError(
                f"{name}: {len(missing)} of {len(self.variables)} variables are missing, first {missing[0]!r}; "
                "fill_missing gives them a value"
            )
        known = set(self.variables)
        surplus = [var_id for var_id in found if var_id not in known]
        if surplus and not drop_surplus:
            raise DataError(
                f"{name}: {len(surplus)} variables are not of the cohort, first {surplus[0]!r}; "
                "drop_surplus leaves them out"
            )
        order = np.array([position.get(var_id, -1) for var_id in self.variables])
        there = order >= 0
        X = np.empty((table.n_obs, len(order)), dtype=np.float32)
        X[:, there] = table.X[:, order[there]]
        if missing:
            X[:, ~there] = fill_missing
        var = table.var.assign(var_id=found).set_index("var_id", drop=False)
        var = var.reindex(list(self.variables)).assign(var_id=list(self.variables)).reset_index(drop=True)
        return Table(X, table.obs, var, table.unit).check(name)  # again: the value filled in must suit the unit, too

    def to_json(self) -> dict[str, Any]:
        """Return the fitted state but for the correction, whose arrays have a file of their own."""
        return {
            "options": dict(self.options),
            "fit_on": dict(self.fit_on),
            "unit": self.unit,
            "unit_before_scale": self.unit_before_scale,
            "variables": list(self.variables),
            "var_id": self.var_id,
            "centre": self.centre.tolist(),
            "scale": self.scale.tolist(),
            "seed": self.seed,
            "cohort_ids": list(self.cohort_ids),
            "n_fit_rows": self.n_fit_rows,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any], correction: Correction | None, name: str = "transform") -> Transform:
        """Return the transform that `to_json` described; DataError for a key that is missing."""
        keys = (
            "options",
            "fit_on",
            "unit",
            "variables",
            "var_id",
            "centre",
            "scale",
            "seed",
            "cohort_ids",
            "n_fit_rows",
        )
        for key in keys:
            if key not in content:
                raise DataError(
                    f"{name}: key {key!r} is missing; there are {', '.join(content)} (an older version wrote it: "
                    "run preprocess again)"
                )
        position = {var_id: j for j, var_id in enumerate(content["variables"])}
        return cls(
            options=content["options"],
            fit_on=content["fit_on"],
            unit=content["unit"],
            variables=tuple(content["variables"]),
            keep=np.array([position[var_id] for var_id in content["var_id"]], dtype=int),
            correction=correction,
            centre=np.array(content["centre"], dtype=float),
            scale=np.array(content["scale"], dtype=float),
            seed=content["seed"],
            cohort_ids=tuple(content["cohort_ids"]),
            n_fit_rows=content["n_fit_rows"],
        )

    def save(self, folder: str | Path) -> None:
        """Write transform.json and correction.safetensors; equal fits give equal bytes."""
        write_json(self.to_json(), Path(folder) / FILES["transform"])
        save_correction(self.correction, Path(folder) / FILES["correction"])

    @classmethod
    def load(cls, folder: str | Path) -> Transform:
        """Return what `save` wrote; it gives the same bits. DataError where a file or key is missing."""
        path = Path(folder) / FILES["transform"]
        for file in (path, Path(folder) / FILES["correction"]):
            if not file.is_file():
                raise DataError(f"{folder}: no transform, there is no {file.name}")
        content = read_json(path)
        corrects = content.get("options", {}).get("correct", {}).get("method") != "none"
        correction = load_correction(Path(folder) / FILES["correction"]) if corrects else None
        return cls.from_json(content, correction, str(path))


def _fitted_correction(X: np.ndarray, obs: pd.DataFrame, fit_rows: np.ndarray, entry: Mapping[str, Any]) -> Correction:
    method = entry["method"]
    cls = correction_class(method)
    for column in ("study", cls.labels):
        if column not in obs:
            raise DataError(f"correct: {method} needs column {column!r} of obs; there are {', '.join(obs.columns)}")
    rows = np.ones(len(X), dtype=bool) if cls.sees_all_rows else fit_rows
    study = obs["study"].to_numpy()[rows]
    labels = obs[cls.labels].to_numpy()[rows]
    return fit_correction(method, X[rows], study, labels, **entry.get("options", {}))


def _corrected(X: np.ndarray, obs: pd.DataFrame, correction: Correction) -> np.ndarray:
    """Return corrected X (n, n_vars); a method that needs labels which obs lacks says so itself."""
    if "study" not in obs:
        raise DataError(
            f"correction {correction.name}: needs the study of every row, obs has no column 'study'; "
            f"there are {', '.join(obs.columns)}"
        )
    labels = obs[correction.labels].to_numpy() if correction.labels in obs else None
    return correction.apply(X, obs["study"].to_numpy(), labels)

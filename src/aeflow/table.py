"""Table: observations by variables with their annotations, and its Parquet form.

On disk a table is three files: ``X`` (first column ``sample_id``, then one float32 column per
variable), ``obs`` (one row per observation) and ``var`` (one row per variable).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aeflow.errors import DataError
from aeflow.files import ROW_GROUP, atomic_path, write_frame

UNITS = (
    "counts",
    "tpm",
    "fpkm",
    "log2_tpm1",
    "log2_fpkm1",
    "log2_counts1",
    "log2_corrected",
    "intensity",
    "standardised",
)
VALUES_PER_GROUP = 16 * 2**20
CHECKED_AT_ONCE = 1024  # variables per block of the value check: a mask of the whole table takes a quarter of its size
SIGNED_UNITS = ("standardised", "log2_corrected")  # every other unit is non-negative by definition


@dataclass
class Table:
    """A data matrix with aligned annotations.

    Parameters
    ----------
    X : (n_obs, n_vars) float32, in `unit`.
    obs : n_obs rows, column ``sample_id`` unique.
    var : n_vars rows, column ``var_id`` unique.
    unit : one of `UNITS`.
    """

    X: np.ndarray
    obs: pd.DataFrame
    var: pd.DataFrame
    unit: str

    @property
    def n_obs(self) -> int:
        return self.X.shape[0]

    @property
    def n_vars(self) -> int:
        return self.X.shape[1]

    def check(self, name: str = "table") -> Table:
        """Return self, or raise DataError naming the first violation (`name` says which table)."""
        if self.unit not in UNITS:
            raise DataError(f"{name}: unknown unit {self.unit!r}; known: {', '.join(UNITS)}")
        if self.X.dtype != np.float32 or self.X.ndim != 2:
            raise DataError(f"{name}: X must be a float32 matrix, found {self.X.dtype} of {self.X.ndim} axes")
        for axis, frame, key, size in (
            ("obs", self.obs, "sample_id", self.n_obs),
            ("var", self.var, "var_id", self.n_vars),
        ):
            if key not in frame.columns:
                raise DataError(f"{name}: {axis} has no column {key!r}; it has {list(frame.columns)}")
            if len(frame) != size:
                raise DataError(f"{name}: {axis} has {len(frame)} rows, X has {size}")
            duplicated = frame[key][frame[key].duplicated()]
            if len(duplicated):
                raise DataError(f"{name}: {axis} {key} {duplicated.iloc[0]!r} occurs more than once")
        self._check_values(name)
        return self

    def _check_values(self, name: str) -> None:
        tests = [(lambda block: ~np.isfinite(block), "not finite")]
        if self.unit not in SIGNED_UNITS:
            tests.append((lambda block: block < 0, f"negative, which unit {self.unit!r} forbids"))
        for start in range(0, self.n_vars, CHECKED_AT_ONCE):
            block = self.X[:, start : start + CHECKED_AT_ONCE]
            for is_bad, what in tests:
                bad = is_bad(block)
                if bad.any():
                    i, j = np.argwhere(bad)[0]
                    sample, variable = self.obs["sample_id"].iloc[i], self.var["var_id"].iloc[start + j]
                    raise DataError(f"{name}: sample {sample!r}, variable {variable!r}: value {block[i, j]} is {what}")

    def select(self, rows: np.ndarray | None = None, columns: np.ndarray | None = None) -> Table:
        """Return the table restricted to boolean or integer `rows` and `columns` (None keeps all)."""
        obs, var, X = self.obs, self.var, self.X
        if rows is not None:
            obs, X = obs.iloc[_index(rows)].reset_index(drop=True), X[rows]
        if columns is not None:
            var, X = var.iloc[_index(columns)].reset_index(drop=True), X[:, columns]
        return Table(np.ascontiguousarray(X), obs, var, self.unit)

    @classmethod
    def read(cls, X: str | Path, obs: str | Path | pd.DataFrame, var: str | Path | pd.DataFrame) -> Table:
        """Read and check a table; `obs` may hold more rows than X, and in another order (``sample_id`` aligns them).

        Parameters
        ----------
        X : path of the values.
        obs, var : paths of the annotations, or the frames where they are read already.

        Raises
        ------
        DataError : a sample of X that `obs` lacks, columns that are not those of `var`, and what `check` finds.
        """
        obs_name = "obs" if isinstance(obs, pd.DataFrame) else obs
        var_name = "var" if isinstance(var, pd.DataFrame) else var
        raw = pq.read_table(X)
        unit = (raw.schema.metadata or {}).get(b"unit", b"").decode()
        sample_ids = raw.column("sample_id").to_pandas()
        values = np.empty((raw.num_rows, raw.num_columns - 1), dtype=np.float32)
        start = 0
        for batch in raw.to_batches():  # takes a fifth of the time of writing whole columns into rows
            np.stack(
                [column.to_numpy() for column in batch.columns[1:]], axis=1, out=values[start : start + len(batch)]
            )
            start += len(batch)
        obs = obs if isinstance(obs, pd.DataFrame) else pd.read_parquet(obs)
        obs = obs.set_index("sample_id", drop=False)
        missing = sample_ids[~sample_ids.isin(obs.index)]
        if len(missing):
            raise DataError(f"{X}: sample {missing.iloc[0]!r} is not in {obs_name}")
        var = var if isinstance(var, pd.DataFrame) else pd.read_parquet(var)
        if list(var["var_id"].astype(str)) != raw.column_names[1:]:
            raise DataError(f"{X}: its columns are not the variables of {var_name}")
        return cls(values, obs.loc[sample_ids].reset_index(drop=True), var, unit).check(str(X))

    def _row_group(self) -> int:
        """Return rows per group: enough values to read fast, few enough to stream a table of twenty thousand genes."""
        return max(ROW_GROUP, VALUES_PER_GROUP // max(self.n_vars, 1))

    def write(self, X_path: str | Path, obs_path: str | Path | None = None, var_path: str | Path | None = None) -> None:
        """Check, then write X and, where paths are given, obs and var; each file appears whole or not at all."""
        self.check(str(X_path))
        fields = [pa.array(self.obs["sample_id"], pa.string())]
        fields += [pa.array(column) for column in np.asfortranarray(self.X).T]
        table = pa.Table.from_arrays(fields, names=["sample_id", *self.var["var_id"].astype(str)])
        table = table.replace_schema_metadata({"unit": self.unit})
        with atomic_path(X_path) as tmp:
            pq.write_table(
                table, tmp, compression="zstd", row_group_size=self._row_group(), use_dictionary=["sample_id"]
            )
        if obs_path:
            write_frame(self.obs, obs_path)
        if var_path:
            write_frame(self.var, var_path)


def _index(selector: np.ndarray) -> np.ndarray:
    selector = np.asarray(selector)
    return np.flatnonzero(selector) if selector.dtype == bool else selector

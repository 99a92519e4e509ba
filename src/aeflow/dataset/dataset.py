"""Dataset: a cohort, split and transformed, as it lies in results/datasets/{dataset}."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aeflow.dataset.transform import Transform
from aeflow.errors import DataError
from aeflow.files import dataset_files, read_json
from aeflow.table import Table, read_table
from aeflow.views import some_rows_of

FACTS = ("dataset", "origin", "data_hash", "unit", "unit_before_scale", "n_obs", "n_vars")


class Dataset:
    """Split tables and the transform that made them; each file is read at most once.

    Attributes
    ----------
    name : in the configuration. origin : "real" or "simulated". data_hash : of all values and ids.
    unit, unit_before_scale : of the values. n_obs : rows of each split; n_vars : variables.
    """

    def __init__(self, folder: str | Path, facts: Mapping[str, Any]):
        self.folder = Path(folder)
        self.name: str = facts["dataset"]
        self.origin: str = facts["origin"]
        self.data_hash: str = facts["data_hash"]
        self.unit: str = facts["unit"]
        self.unit_before_scale: str = facts["unit_before_scale"]
        self.n_obs: dict[str, int] = facts["n_obs"]
        self.n_vars: int = facts["n_vars"]
        self._tables: dict[str, Table] = {}
        self._views: dict[str, Table] = {}

    @classmethod
    def open(cls, folder: str | Path) -> Dataset:
        """Return the dataset of a folder; DataError if the folder does not hold one."""
        path = Path(dataset_files(str(folder))["dataset"])
        if not path.is_file():
            raise DataError(f"{folder}: no file {path.name}, so it is not the folder of a dataset")
        facts = read_json(path)
        missing = [key for key in FACTS if key not in facts]
        if missing:
            raise DataError(f"{path}: no key {missing[0]!r}; it has {sorted(facts)}")
        return cls(folder, facts)

    @cached_property
    def obs(self) -> pd.DataFrame:
        """Annotations of all rows, with column split."""
        return pd.read_parquet(self._path("obs"))

    @cached_property
    def var(self) -> pd.DataFrame:
        """Variables, with columns centre and scale."""
        return pd.read_parquet(self._path("var"))

    @cached_property
    def transform(self) -> Transform:
        """What made the rows of raw ones, and makes rows of new ones."""
        return Transform.load(self.folder)

    def rows(self, split: str, view: Mapping[str, Sequence] | None = None) -> Table:
        """Return the rows of "train", "val" or "test" that `view` allows, None for all; DataError if none is left."""
        if split not in self._tables:
            path = self._path(f"X_{split}")
            self._tables[split] = read_table(path, self._path("obs"), self._path("var"))
        table = self._tables[split]
        if not view:
            return table
        key = f"{split} {sorted(view.items())}"
        if key not in self._views:
            mask = some_rows_of(table.obs, view, f"view on {self._path(f'X_{split}')}")
            self._views[key] = table if mask.all() else table.select(rows=mask)
        return self._views[key]

    def unscaled(self, X: np.ndarray) -> np.ndarray:
        """Return X (n, n_vars) with centring and scaling undone, float32."""
        return (X * self.var["scale"].to_numpy() + self.var["centre"].to_numpy()).astype(np.float32)

    def _path(self, name: str) -> Path:
        return Path(dataset_files(str(self.folder))[name])


def data_hash(table: Table) -> str:
    """Return sha256 over a table's values and ids: equal data, equal hash, on every machine."""
    digest = hashlib.sha256(np.ascontiguousarray(table.X, dtype="<f4").tobytes())
    for ids in (table.obs["sample_id"], table.var["var_id"]):
        digest.update("\n".join(ids.astype(str)).encode())
    return digest.hexdigest()

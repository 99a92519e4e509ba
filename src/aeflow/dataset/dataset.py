"""Dataset: the split tables of results/datasets/{dataset}, and what is known of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aeflow.dataset import FILES, SPLITS
from aeflow.dataset.steps import scaled
from aeflow.errors import DataError
from aeflow.files import read_json
from aeflow.table import Table
from aeflow.views import some_rows_of

if TYPE_CHECKING:
    from aeflow.dataset.transform import Transform


@dataclass(frozen=True)
class Dataset:
    """One dataset, opened by `Dataset.open`.

    Parameters
    ----------
    folder : results/datasets/{dataset}.
    name : its name in the configuration.
    origin : "real" or "simulated".
    unit : of the split tables.
    unit_before_scale : of what `unscaled` returns.
    data_hash : sha256 over values and ids of all splits; see `data_hash`.
    n_obs : rows of each split.
    n_vars : variables.
    obs : annotation of every row, with column ``split``.
    var : annotation of every variable, with columns ``centre`` and ``scale``.
    """

    folder: Path
    name: str
    origin: str
    unit: str
    unit_before_scale: str
    data_hash: str
    n_obs: Mapping[str, int]
    n_vars: int
    obs: pd.DataFrame
    var: pd.DataFrame
    _tables: dict[str, Table] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, folder: str | Path) -> Dataset:
        """Read the facts and annotations of a dataset; values are read when `rows` asks for them.

        Raises DataError where the folder has no dataset.json, or one that lacks a key.
        """
        folder = Path(folder)
        path = folder / FILES["dataset"]
        if not path.is_file():
            raise DataError(f"{folder}: no dataset, there is no {path.name}")
        facts = read_json(path)
        keys = ("dataset", "origin", "unit", "unit_before_scale", "data_hash", "n_obs", "n_vars")
        for key in keys:
            if key not in facts:
                raise DataError(f"{path}: key {key!r} is missing; there are {', '.join(facts)}")
        obs = pd.read_parquet(folder / FILES["obs"])
        var = pd.read_parquet(folder / FILES["var"])
        return cls(folder, *(facts[key] for key in keys), obs, var)

    def rows(self, split: str, view: Mapping[str, Sequence] | None = None, name: str = "view") -> Table:
        """Return the rows of one split that `view` (column -> allowed values) allows; None and {} allow all.

        The file of a split is read once; every call shares its values, so nobody may write into them.

        Parameters
        ----------
        split : "train", "val" or "test".
        name : of the filter, for messages.

        Raises
        ------
        DataError : another split, a column that does not exist, or no row that is left.
        """
        table = self._split(split)
        rows = some_rows_of(table.obs, view or {}, f"{name} on {self.folder / FILES[f'X_{split}']}")
        return table if rows.all() else table.select(rows=rows)

    def _split(self, split: str) -> Table:
        if split not in SPLITS:
            raise DataError(f"{self.folder}: split {split!r} does not exist; there are {', '.join(SPLITS)}")
        if split not in self._tables:
            self._tables[split] = Table.read(self.folder / FILES[f"X_{split}"], self.obs, self.var)
        return self._tables[split]

    @cached_property
    def transform(self) -> Transform:
        """The fitted steps, which bring raw rows, of this cohort or new ones, into the form of `rows`."""
        from aeflow.dataset.transform import Transform  # here, because few jobs ask for it

        return Transform.load(self.folder)

    def unscaled(self, X: np.ndarray) -> np.ndarray:
        """Return X (n, n_vars) in `unit_before_scale`, float32."""
        return unscaled(X, self.var)

    def scaled(self, X: np.ndarray) -> np.ndarray:
        """Return X (n, n_vars), given in `unit_before_scale`, with the dataset's centre and scale, float32."""
        return scaled(X, self.var["centre"].to_numpy(), self.var["scale"].to_numpy())


def unscaled(X: np.ndarray, var: pd.DataFrame) -> np.ndarray:
    """Return X (n, n_vars) with the dataset's centring and scaling undone, float32."""
    return (X * var["scale"].to_numpy() + var["centre"].to_numpy()).astype(np.float32)


def data_hash(table: Table) -> str:
    """Return sha256 over a table's values and ids: equal data, equal hash, on every machine."""
    digest = hashlib.sha256(np.ascontiguousarray(table.X, dtype="<f4").tobytes())
    for ids in (table.obs["sample_id"], table.var["var_id"]):
        digest.update("\n".join(ids.astype(str)).encode())
    return digest.hexdigest()

"""TEMPORARY stand-in until the dataset branch lands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from aeflow.files import read_json
from aeflow.table import read_table
from aeflow.views import some_rows_of


class Dataset:
    def __init__(self, folder):
        self.folder = Path(folder)
        facts = read_json(self.folder / "dataset.json")
        self.name = facts["dataset"]
        for key in ("origin", "unit", "unit_before_scale", "data_hash", "n_vars"):
            setattr(self, key, facts[key])
        self.obs = pd.read_parquet(self.folder / "obs.parquet")
        self.var = pd.read_parquet(self.folder / "var.parquet")
        self._tables = {}

    @classmethod
    def open(cls, folder):
        return cls(folder)

    def rows(self, split, view=None):
        if split not in self._tables:
            self._tables[split] = read_table(
                self.folder / f"X_{split}.parquet", self.folder / "obs.parquet", self.folder / "var.parquet"
            )
        table = self._tables[split]
        rows = some_rows_of(table.obs, view or {}, f"view on {split}")
        return table if rows.all() else table.select(rows=rows)

    def unscaled(self, X):
        return (X * self.var["scale"].to_numpy() + self.var["centre"].to_numpy()).astype(np.float32)

"""A table of counts of two studies: tab-separated, genes in rows, samples named donor|study|tissue|condition.

Options: file, path of the table below the source's mirror.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aeflow.errors import DataError

if TYPE_CHECKING:
    from aeflow.dataset.cohort import Cohort

KIND = "expression"
ORIGIN = "real"
SIMULATES = False
OBS_COLUMNS = ("sample_id", "donor_id", "study", "tissue", "condition")


def matrices(*, file: str) -> dict[str, str]:
    """Return {name: path} of the one raw file."""
    return {"counts": file}


def convert(path: Path, out: Path) -> None:
    """Write the raw file as Parquet; DataError, naming file, line and value, for what is no count."""
    import pandas as pd

    from aeflow.files import write_frame

    text = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    for column in text.columns[1:]:
        wrong = text.index[~text[column].str.fullmatch("[0-9]+")]
        if len(wrong):
            line = wrong[0] + 2  # the header is line 1
            raise DataError(f"{path}, line {line}, column {column!r}: no count, found {text[column][wrong[0]]!r}")
    write_frame(text.astype(dict.fromkeys(text.columns[1:], "int64")), out)


def unify(files: Mapping[str, Path], *, file: str) -> Cohort:
    """Return the cohort of the one converted file; all of its samples and genes stay."""
    import numpy as np
    import pandas as pd

    from aeflow.dataset.cohort import Cohort, dropped_frame
    from aeflow.table import Table

    counts = pd.read_parquet(files["counts"]).set_index("gene")
    words = counts.columns.str.split("|", expand=True).to_frame(index=False)
    words.columns = list(OBS_COLUMNS[1:])
    words.insert(0, "sample_id", counts.columns)
    var = pd.DataFrame({"var_id": counts.index, "symbol": counts.index})
    table = Table(counts.to_numpy().T.astype(np.float32), words, var, "counts")
    return Cohort(table, dropped_frame([]), {"origin": ORIGIN, "n_obs": table.n_obs, "n_vars": table.n_vars})

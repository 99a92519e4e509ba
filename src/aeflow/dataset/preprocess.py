"""From a cohort to a dataset: split first, then fit on training rows, then apply to every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aeflow.dataset import FILES, SPLITS
from aeflow.dataset.dataset import data_hash
from aeflow.dataset.split import split_rows
from aeflow.dataset.transform import Transform
from aeflow.files import write_frame, write_json
from aeflow.table import Table


def preprocess(
    table: Table, options: Mapping[str, Any], fit_on: Mapping[str, Sequence], seed: int
) -> tuple[Table, Transform]:
    """Return the whole cohort after all steps, with obs column ``split``, and the fitted steps.

    All rows of a donor go to one split. Fitted steps see the training rows that `fit_on` allows.

    Parameters
    ----------
    table : a cohort, unit as the source declares it.
    options : split, and what `aeflow.dataset.transform.Steps` names (config key `datasets`).
    fit_on : filter on training rows that fitted steps may see, e.g. normals only.
    seed : of the split, and of the draws of `binarise`.

    Raises
    ------
    ConfigError : options that do not suit the cohort.
    DataError : a split without rows, or rows that a step cannot be fitted on.
    """
    split = split_rows(table.obs, options["split"], seed)
    transform, out = Transform.fit_apply(table, options, fit_on, seed, split)
    return Table(out.X, out.obs.assign(split=split), out.var, out.unit), transform


def write_dataset(folder: str | Path, name: str, origin: str, table: Table, transform: Transform) -> None:
    """Write the files of a dataset, `FILES`; each appears whole or not at all.

    Parameters
    ----------
    folder : results/datasets/{name}.
    origin : "real" or "simulated".
    table, transform : what `preprocess` returned.
    """
    folder = Path(folder)
    for split in SPLITS:
        table.select(rows=(table.obs["split"] == split).to_numpy()).write(folder / FILES[f"X_{split}"])
    write_frame(table.obs, folder / FILES["obs"])
    write_frame(table.var, folder / FILES["var"])
    transform.save(folder)
    facts = {
        "dataset": name,
        "origin": origin,
        "data_hash": data_hash(table),
        "unit": table.unit,
        "unit_before_scale": transform.unit_before_scale,
        "n_obs": table.obs["split"].value_counts().to_dict(),
        "n_vars": table.n_vars,
    }
    write_json(facts, folder / FILES["dataset"])

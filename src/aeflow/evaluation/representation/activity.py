"""Gene-set nodes that differ between the normal and anomalous test rows of each task."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from aeflow.evaluation.challenge.explanation import differential_activity, donor_means
from aeflow.evaluation.task import Task


def activity_differences(activity: pd.DataFrame, obs: pd.DataFrame, tasks: Sequence[Task]) -> dict[str, pd.DataFrame]:
    """Return {gene_set_differences_{task}: table} with q-values, the surest node first; one value per donor and side.

    activity : content of gene_set_activity.parquet; obs : of all test rows.
    """
    nodes = [c for c in activity.columns if c not in ("sample_id", "split")]
    of_test = activity.set_index("sample_id").loc[obs["sample_id"], nodes].reset_index(drop=True)
    out = {}
    for task in tasks:
        rows = task.masks(obs, "test")
        means, anomalous = donor_means(of_test[rows.either], obs[rows.either], rows.label)
        out[f"gene_set_differences_{task.name}"] = differential_activity(means.to_numpy(), anomalous, nodes)
    return out

"""Gene-set nodes that differ between the normal and anomalous test rows of each task."""

from __future__ import annotations

from typing import Any

import pandas as pd

from aeflow.evaluation.challenge.explanation import differential_activity, donor_means
from aeflow.evaluation.detection.anomaly import task_rows


def activity_differences(
    activity: pd.DataFrame, obs: pd.DataFrame, tasks: dict[str, Any], view: dict[str, list]
) -> dict[str, pd.DataFrame]:
    """Return {gene_set_differences_{task}: table} with q-values, the surest node first; one value per donor and side.

    activity : content of gene_set_activity.parquet; obs : of all test rows. A task whose control or calibration needs
    validation rows is read without them: nothing is calibrated here.
    """
    nodes = [c for c in activity.columns if c not in ("sample_id", "split")]
    of_test = activity.set_index("sample_id").loc[obs["sample_id"], nodes].reset_index(drop=True)
    out = {}
    for name, task in tasks.items():
        bare = {key: value for key, value in task.items() if key != "control"}
        masks = task_rows(obs, bare, view, name)
        rows = masks["normal"] | masks["anomaly"]
        means, anomalous = donor_means(of_test[rows], obs[rows], masks["anomaly"][rows])
        out[f"gene_set_differences_{name}"] = differential_activity(means.to_numpy(), anomalous, nodes)
    return out

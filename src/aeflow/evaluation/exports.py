"""Tables that a model exports: activities, normalised expression, embeddings, loadings."""

from __future__ import annotations

import pandas as pd
import torch

from aeflow.evaluation.assessment import Assessment
from aeflow.evaluation.evaluation import Evaluation, Findings
from aeflow.evaluation.representation.activity import activity_differences
from aeflow.models.base import AbstractExporting

ACTIVITY = "gene_set_activity"


class Exports(Evaluation):
    """Tables of the models that export anything, and the gene-set nodes that differ between a task's groups."""

    def evaluate(self, a: Assessment) -> Findings:
        if not isinstance(a.run.model, AbstractExporting):
            return Findings()
        tables = of_observations(a) | of_variables(a)
        if ACTIVITY in tables:
            tables |= activity_differences(tables[ACTIVITY], a.test.obs, a.tasks)
        return Findings(tables=tables)


def of_observations(a: Assessment) -> dict[str, pd.DataFrame]:
    """Return matrices with a row per training or validation row of the view and test row: sample_id, split, values."""
    batches = (a.train_batch, a.val_batch, a.test_batch)
    with torch.no_grad():
        parts = [a.run.model.exports(batch) for batch in batches]
    sheets = [table.obs[["sample_id", "split"]] for table in (a.train, a.val, a.test)]
    ids = pd.concat(sheets, ignore_index=True)
    frames = {}
    for name in parts[0]:
        matrix = torch.cat([part[name] for part in parts]).cpu().numpy()
        columns = a.run.spec.gene_sets if name == ACTIVITY else a.train.var["var_id"].astype(str)
        frames[name] = pd.concat([ids, pd.DataFrame(matrix, columns=list(columns))], axis=1)
    return frames


def of_variables(a: Assessment) -> dict[str, pd.DataFrame]:
    """Return matrices with a row per variable: var_id, v0, v1, ..."""
    with torch.no_grad():
        matrices = a.run.model.variable_exports()
    frames = {}
    for name, matrix in matrices.items():
        frame = pd.DataFrame(matrix.cpu().numpy(), columns=[f"v{i}" for i in range(matrix.shape[1])])
        frame.insert(0, "var_id", a.train.var["var_id"].astype(str).to_numpy())
        frames[name] = frame
    return frames

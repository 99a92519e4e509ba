"""Assessment: a trained run beside its data, and what evaluations read of both, each computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from aeflow.dataset.batch import concatenated
from aeflow.dataset.dataset import Dataset
from aeflow.errors import DataError
from aeflow.evaluation.detection.conformal import conformal_p_values, q_values
from aeflow.evaluation.task import Task
from aeflow.models.base import Batch
from aeflow.run import Run
from aeflow.scoring.forward import encode_all
from aeflow.scoring.names import score_columns
from aeflow.table import Table
from aeflow.views import rows_of


@dataclass(frozen=True)
class Companions:
    """Files beside run and dataset that some evaluations need; None where the configuration asks for none.

    judge : folder of the classifier that judges draws.
    gene_sets : GMT file, and the least number of genes among the dataset's variables that a set needs.
    baseline_run : folder of the baseline model's run of the same view and seed; None for that run itself.
    """

    judge: Path | None = None
    gene_sets: Path | None = None
    min_genes: int = 0
    baseline_run: Path | None = None


class Assessment:
    """One run, its dataset and the tasks that apply to it.

    is_baseline : the run is that of the baseline model, which also carries numbers independent of the model.
    """

    def __init__(
        self,
        run: Run,
        dataset: Dataset,
        tasks: Sequence[Task],
        *,
        is_baseline: bool,
        companions: Companions | None = None,
    ):
        self.run = run
        self.dataset = dataset
        self.tasks = list(tasks)
        self.is_baseline = is_baseline
        self.companions = companions or Companions()
        self.view: Mapping[str, Sequence] = run.spec.view_filter
        self.seed = run.spec.seed

    @property
    def train(self) -> Table:
        """Training rows of the view."""
        return self.dataset.rows("train", self.view)

    @property
    def val(self) -> Table:
        """Validation rows of the view."""
        return self.dataset.rows("val", self.view)

    @property
    def test(self) -> Table:
        """All test rows."""
        return self.dataset.rows("test")

    @cached_property
    def train_batch(self) -> Batch:
        """Training rows of the view on the run's device."""
        return self.run.batch(self.train)

    @cached_property
    def val_batch(self) -> Batch:
        """Validation rows of the view on the run's device."""
        return self.run.batch(self.val)

    @cached_property
    def test_batch(self) -> Batch:
        """All test rows on the run's device."""
        return self.run.batch(self.test)

    @cached_property
    def latent(self) -> pd.DataFrame:
        """Latents of the view's training and validation rows and of all test rows: sample_id, split, z0, z1, ..."""
        sheets = [table.obs[["sample_id", "split"]] for table in (self.train, self.val, self.test)]
        batches = (self.train_batch, self.val_batch, self.test_batch)
        z = np.concatenate([encode_all(self.run.model, rows) for rows in batches])
        values = pd.DataFrame(z, columns=[f"z{i}" for i in range(z.shape[1])])
        return pd.concat([pd.concat(sheets, ignore_index=True), values], axis=1)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Scores of validation rows, then of all test rows: sample_id, split, then a column per score.

        Validation rows are those of the view, or all of them where a task chooses its score by their anomalies.
        """
        if any(task.choose_score for task in self.tasks):
            val = self.dataset.rows("val")
            val_batch = self.run.batch(val)
        else:
            val = self.val
            val_batch = self.val_batch
        sheet = pd.concat([table.obs[["sample_id", "split"]] for table in (val, self.test)], ignore_index=True)
        rows = concatenated(val_batch, self.test_batch)
        return sheet.assign(**self.run.scorer.scores(rows, sheet["sample_id"].tolist()))

    def score(self, name: str) -> pd.Series:
        """Return one score of the rows of `scores`; DataError if no family of the configuration gives it."""
        if name not in self.scores:
            raise DataError(
                f"scores.families gives no score {name!r}; there are {', '.join(score_columns(self.scores))}"
            )
        return self.scores[name]

    @cached_property
    def scored_obs(self) -> pd.DataFrame:
        """Annotations of the rows of `scores`, in their order."""
        return self.obs_of(self.scores["sample_id"])

    def obs_of(self, sample_ids: pd.Series) -> pd.DataFrame:
        """Return the dataset's annotations of these samples, in their order."""
        return self.dataset.obs.set_index("sample_id", drop=False).loc[sample_ids].reset_index(drop=True)

    @cached_property
    def calibrated(self) -> pd.DataFrame:
        """Columns sample_id and, for every score, p:{score} and q:{score} of each test row."""
        return calibrated(self.scores, self.scored_obs, self.view)


def calibrated(scores: pd.DataFrame, obs: pd.DataFrame, view: Mapping[str, Sequence]) -> pd.DataFrame:
    """Return sample_id and, for every score, split-conformal p-values and their q-values (BH) of each test row.

    Calibration rows are the validation rows of the view: neither trained on nor tested. `obs` as the rows of scores.
    """
    split = obs["split"].to_numpy()
    calibration = (split == "val") & rows_of(obs, view, "view")
    if not calibration.any():
        raise DataError("calibration: the view has no validation row")
    test = split == "test"
    out = {"sample_id": obs["sample_id"].to_numpy()[test]}
    for name in score_columns(scores):
        values = scores[name].to_numpy()
        p = conformal_p_values(values[calibration], values[test])
        out |= {f"p:{name}": p, f"q:{name}": q_values(p)}
    return pd.DataFrame(out)

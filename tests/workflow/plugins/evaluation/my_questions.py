"""How unevenly the error is spread over variables."""

from __future__ import annotations

import numpy as np

from aeflow.evaluation.assessment import Assessment
from aeflow.evaluation.evaluation import Evaluation, Findings
from aeflow.evaluation.metric import declare, measured
from aeflow.keywords import Size
from aeflow.scoring.forward import reconstruct_all

declare("my_questions", "worst_share", "lower", "Share of the squared error that the worst variables have.")


class Worst(Evaluation):
    """The share of the test rows' squared error in the `n_worst` variables with the largest."""

    def __init__(self, *, n_worst: Size):
        self.n_worst = n_worst

    def evaluate(self, a: Assessment) -> Findings:
        error = (a.test_batch.x - reconstruct_all(a.run.model, a.test_batch)).square().sum(0).cpu().numpy()
        share = float(np.sort(error)[-self.n_worst :].sum() / error.sum())
        return Findings(measured("my_questions", {"worst_share": share}, subject="test"))

"""Baselines: scores of the raw input that need no model.

baseline/squared_distance_to_mean  ||x - mean of training rows||^2
baseline/knn                       mean Euclidean distance to the 5 nearest training rows
baseline/isolation_forest          minus the mean path length's score, 100 trees of 256 rows; Liu et al. (2008), ICDM
baseline/one_class_svm             minus the decision function, Gaussian kernel; Schoelkopf et al. (2001), Neural
                                   Computation 13, 1443; nu = 0.1, gamma = 1 / (n_vars * variance of all values)

Hyperparameters are scikit-learn's defaults except nu, whose default of 0.5 would call half of the training rows
outliers. The support vector machine is quadratic in rows and takes at most MAX_SVM_ROWS of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aeflow.models.base import AbstractClosedForm, Batch
from aeflow.scoring.family import Reference, ScoreFamily
from aeflow.scoring.forward import CHUNK, MAX_REFERENCE
from aeflow.scoring.proximity import K_NEIGHBOURS
from aeflow.scoring.space import kept

NU = 0.1
MAX_SVM_ROWS = 2000


class Baselines(ScoreFamily):
    """Scores of the raw input; the expensive ones are computed for closed-form models only.

    They are the same for every model of a view, and every view has PCA, a closed form. The cheap one is in every table.
    """

    def scores(self, rows: Batch, z: np.ndarray, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        reference = self.reference
        scores = {"baseline/squared_distance_to_mean": distance_to_mean(reference.rows, rows)}
        if isinstance(reference.model, AbstractClosedForm):
            scores |= reference.fitted(RawInput).scores(rows)
        return scores


def distance_to_mean(reference: Batch, rows: Batch) -> np.ndarray:
    """Return squared distances (n_obs,) to the training mean, in squared units of x."""
    return (rows.x - reference.x.mean(0)).double().square().sum(1).cpu().numpy()


class RawInput:
    """Neighbours, an isolation forest and a one-class support vector machine of the training rows."""

    def __init__(self, reference: Reference):
        from sklearn.ensemble import IsolationForest
        from sklearn.neighbors import NearestNeighbors
        from sklearn.svm import OneClassSVM

        train, seed = reference.rows.x.cpu().numpy(), reference.seed
        searched = train[kept(len(train), MAX_REFERENCE, seed)]
        self.search = NearestNeighbors(n_neighbors=min(K_NEIGHBOURS, len(train))).fit(searched)
        self.forest = IsolationForest(random_state=seed).fit(train)
        self.svm = OneClassSVM(nu=NU).fit(train[kept(len(train), MAX_SVM_ROWS, seed)])

    def scores(self, rows: Batch) -> dict[str, np.ndarray]:
        """Return baseline/knn, .../isolation_forest and .../one_class_svm, each (n_obs,) float64."""
        x = rows.x.cpu().numpy()
        parts = [x[i : i + CHUNK] for i in range(0, len(x), CHUNK)]
        by = {
            "baseline/knn": lambda part: self.search.kneighbors(part)[0].mean(1),
            "baseline/isolation_forest": lambda part: -self.forest.score_samples(part),
            "baseline/one_class_svm": lambda part: -self.svm.decision_function(part),
        }
        return {name: np.concatenate([score(part) for part in parts]).astype(np.float64) for name, score in by.items()}

"""Baselines: scores of the raw input that know no model.

baseline/squared_distance_to_mean  ||x - mean of training rows||^2
baseline/knn                       mean Euclidean distance to the 5 nearest training rows
baseline/isolation_forest          minus the mean path length's score, 100 trees of 256 rows; Liu et al. (2008), ICDM
baseline/one_class_svm             minus the decision function, Gaussian kernel; Schoelkopf et al. (2001), Neural
                                   Computation 13, 1443; nu = 0.1, gamma = 1 / (n_vars * variance of all values)

Hyperparameters are scikit-learn's defaults but nu, which has 0.5 there and would call half of the training rows
outliers. The support vector machine is quadratic in rows and takes at most MAX_SVM_ROWS of them.
"""

from __future__ import annotations

import numpy as np

from aeflow.models.base import Batch
from aeflow.scoring.forward import CHUNK, MAX_REFERENCE, kept
from aeflow.scoring.proximity import K_NEIGHBOURS

NU = 0.1
MAX_SVM_ROWS = 2000


def distance_to_mean(reference: Batch, rows: Batch) -> np.ndarray:
    """Return squared distances (n_obs,) to the training mean, in squared units of x."""
    return (rows.x - reference.x.mean(0)).double().square().sum(1).cpu().numpy()


def raw_input_scores(reference: Batch, rows: Batch, seed: int) -> dict[str, np.ndarray]:
    """Return baseline/knn, .../isolation_forest and .../one_class_svm, each (n_obs,) float64."""
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import NearestNeighbors
    from sklearn.svm import OneClassSVM

    train, x = reference.x.cpu().numpy(), rows.x.cpu().numpy()
    search = NearestNeighbors(n_neighbors=min(K_NEIGHBOURS, len(train))).fit(
        train[kept(len(train), MAX_REFERENCE, seed)]
    )
    forest = IsolationForest(random_state=seed).fit(train)
    svm = OneClassSVM(nu=NU).fit(train[kept(len(train), MAX_SVM_ROWS, seed)])
    by = {
        "baseline/knn": lambda part: search.kneighbors(part)[0].mean(1),
        "baseline/isolation_forest": lambda part: -forest.score_samples(part),
        "baseline/one_class_svm": lambda part: -svm.decision_function(part),
    }
    parts = [x[i : i + CHUNK] for i in range(0, len(x), CHUNK)]
    return {name: np.concatenate([score(part) for part in parts]).astype(np.float64) for name, score in by.items()}

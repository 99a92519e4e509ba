"""Classifiers on a frozen representation; each standardises its inputs first."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from aeflow.errors import DataError
from aeflow.evaluation.checks import labels, matrix

N_NEIGHBOURS = 5
HEADS = ("logistic", "knn", "mlp")
MLP_EPOCHS = 300
MAX_WEAK_VARS = 500  # inputs beyond which a logistic head needs the strong penalty of the study probes


def make_head(kind: str, n_obs: int, n_vars: int, seed: int = 0) -> Any:
    """Return an unfitted scikit-learn classifier of `HEADS` for n_obs training rows of n_vars inputs.

    logistic : the linear probe; penalty C = 1, or 0.01 beyond 500 inputs (raw expression). knn : 5 neighbours.
    mlp : one hidden layer of 64 units, 300 epochs, for transfer to new labels.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if kind == "logistic":
        head = LogisticRegression(C=1.0 if n_vars <= MAX_WEAK_VARS else 0.01, max_iter=2000)
    elif kind == "knn":
        head = KNeighborsClassifier(min(N_NEIGHBOURS, n_obs))
    elif kind == "mlp":
        head = MLPClassifier((64,), max_iter=MLP_EPOCHS, random_state=seed)
    else:
        raise DataError(f"head: {kind!r} does not exist; known: {', '.join(HEADS)}")
    return make_pipeline(StandardScaler(), head)


def head_accuracy(
    z_train: np.ndarray,
    y_train: np.ndarray,
    z_test: np.ndarray,
    y_test: np.ndarray,
    *,
    head: str = "logistic",
    seed: int = 0,
) -> dict[str, float]:
    """Return accuracy, balanced_accuracy (mean recall of the classes) and majority (accuracy of the commonest class).

    Parameters
    ----------
    z_train : (n_train, n_latent) and z_test : (n_test, n_latent); no donor may have rows in both.
    y_train, y_test : labels. A test class that training lacks counts as wrong: it is not left out.
    head : one of `HEADS`.
    """
    from sklearn.exceptions import ConvergenceWarning

    z_train = matrix(z_train, "z_train", least=2)
    z_test = matrix(z_test, "z_test", n_vars=z_train.shape[1])
    y_train = labels(y_train, "y_train", len(z_train), least=2).astype(str)
    y_test = labels(y_test, "y_test", len(z_test)).astype(str)
    with warnings.catch_warnings():
        if head == "mlp":  # its number of epochs is fixed on purpose
            warnings.simplefilter("ignore", ConvergenceWarning)
        predicted = make_head(head, *z_train.shape, seed).fit(z_train, y_train).predict(z_test)
    right = predicted == y_test
    names, counts = np.unique(y_train, return_counts=True)
    return {
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(np.mean([right[y_test == name].mean() for name in np.unique(y_test)])),
        "majority": float((y_test == names[counts.argmax()]).mean()),
    }

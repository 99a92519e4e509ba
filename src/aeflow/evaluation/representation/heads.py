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


def predicted(
    z_train: np.ndarray, y_train: np.ndarray, z_test: np.ndarray, *, head: str = "logistic", seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes that a head names, and the commonest class of its training rows, both (n_test,) str.

    Training rows of one class teach that class.

    Parameters
    ----------
    z_train : (n_train, n_latent) with labels y_train (n_train,); z_test : (n_test, n_latent). No donor may have rows in
        both.
    head : one of `HEADS`.
    """
    from sklearn.exceptions import ConvergenceWarning

    z_train = matrix(z_train, "z_train", least=2)
    z_test = matrix(z_test, "z_test", n_vars=z_train.shape[1])
    y_train = labels(y_train, "y_train", len(z_train)).astype(str)
    classifier = make_head(head, *z_train.shape, seed)
    names, counts = np.unique(y_train, return_counts=True)
    commonest = np.full(len(z_test), names[counts.argmax()])
    if len(names) == 1:
        return commonest, commonest
    with warnings.catch_warnings():
        if head == "mlp":  # its number of epochs is fixed on purpose
            warnings.simplefilter("ignore", ConvergenceWarning)
        return classifier.fit(z_train, y_train).predict(z_test), commonest


def accuracies(y: np.ndarray, named: np.ndarray, commonest: np.ndarray) -> dict[str, float]:
    """Return accuracy, balanced_accuracy (mean recall of the classes of y) and majority (accuracy of `commonest`).

    y, named, commonest : (n_obs,) true classes, and those that `predicted` returned. A class that training lacked, or
    that is never named, has recall 0: it is not left out.
    """
    y = labels(y, "y", len(named)).astype(str)
    right = named == y
    return {
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(np.mean([right[y == name].mean() for name in np.unique(y)])),
        "majority": float((y == commonest).mean()),
    }


def head_accuracy(
    z_train: np.ndarray,
    y_train: np.ndarray,
    z_test: np.ndarray,
    y_test: np.ndarray,
    *,
    head: str = "logistic",
    seed: int = 0,
) -> dict[str, float]:
    """Return the `accuracies` on test rows of a head learnt on training rows of two classes or more."""
    labels(y_train, "y_train", len(z_train), least=2)
    return accuracies(y_test, *predicted(z_train, y_train, z_test, head=head, seed=seed))

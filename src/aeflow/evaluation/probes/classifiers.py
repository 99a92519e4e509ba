"""The classifiers of study probes, each fitted on the training rows of one fold and measured on its test rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from aeflow.dataset.steps import fit_scale

N_TREES = 300
N_NEIGHBOURS = 5
N_SHARED = 3  # training rows that have a value in common, for it to count as tied
SETTINGS = {  # few rows, thousands of variables: strong penalty, small leaves, a tenth of the variables a split
    "logistic": {"C": 0.01, "max_iter": 2000},
    "gradient_boosting": {
        "max_iter": 50,
        "learning_rate": 0.2,
        "min_samples_leaf": 5,
        "max_features": 0.1,
        "max_bins": 32,
        "early_stopping": False,
    },
}


@dataclass
class FoldData:
    """X (n_obs, n_vars) as the classifiers of a fold see it; whatever is fitted, is fitted on the rows `train`."""

    X: np.ndarray
    train: np.ndarray
    test: np.ndarray
    n_components: int
    seed: int

    @cached_property
    def selected(self) -> tuple[np.ndarray, np.ndarray]:
        """Training and test rows of the variables that vary among training rows."""
        keep = np.ptp(self.X[self.train], axis=0) > 0
        return self.X[np.ix_(self.train, keep)], self.X[np.ix_(self.test, keep)]

    @cached_property
    def standardised(self) -> tuple[np.ndarray, np.ndarray]:
        centre, scale = fit_scale(self.selected[0], "standard")
        return tuple((part - centre) / scale for part in self.selected)

    @cached_property
    def components(self) -> tuple[np.ndarray, np.ndarray]:
        """Principal components of the standardised variables."""
        from sklearn.decomposition import PCA

        train, test = self.standardised
        n = min(self.n_components, len(train) - 1, train.shape[1])
        if n < 1:
            return train[:, :0], test[:, :0]
        pca = PCA(n, svd_solver="randomized", random_state=self.seed).fit(train)
        return pca.transform(train), pca.transform(test)

    @cached_property
    def zeros(self) -> tuple[np.ndarray, np.ndarray]:
        """Where a value is exactly zero."""
        return self._pattern(self.X[self.train] == 0, self.X[self.test] == 0)

    @cached_property
    def ties(self) -> tuple[np.ndarray, np.ndarray]:
        """Where a value is shared by some training rows: zeros that a correction has moved."""
        train, test = self.X[self.train], self.X[self.test]
        shared = np.zeros(train.shape, dtype=bool), np.zeros(test.shape, dtype=bool)
        for j, column in enumerate(np.sort(train, axis=0).T):
            if (column[N_SHARED - 1 :] == column[: 1 - N_SHARED]).any():
                for part, out in zip((train[:, j], test[:, j]), shared, strict=True):
                    out[:, j] = np.searchsorted(column, part, "right") - np.searchsorted(column, part) >= N_SHARED
        return self._pattern(*shared)

    @staticmethod
    def _pattern(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        informative = train.any(0) & ~train.all(0)
        return train[:, informative].astype(np.float32), test[:, informative].astype(np.float32)

    def inputs(self, probe: str) -> tuple[np.ndarray, np.ndarray]:
        """Return what a probe sees of training and test rows."""
        if probe in ("zeros", "ties"):
            return getattr(self, probe)
        if probe.endswith("_components") or probe == "silhouette":
            return self.components
        return self.standardised if probe == "logistic" else self.selected


def measure(probe: str, data: FoldData, y: np.ndarray, strata: np.ndarray) -> float:
    """Return AUROC (y bool), accuracy (y str) or silhouette width of the fold's test rows.

    NaN where the test rows have nothing to tell apart. A probe without any input, such as "zeros" where nothing is
    zero, and one whose training rows are of one class, cannot tell anything: AUROC 0.5, accuracy of always naming the
    commonest training class.
    """
    train, test = data.inputs(probe)
    y_train, y_test, within = y[data.train], y[data.test], strata[data.test]
    if probe == "silhouette":
        return silhouette(test, y_test, within)
    if len(y_test) == 0 or len(y_train) == 0:
        return np.nan
    classes, counts = np.unique(y_train, return_counts=True)
    blind = len(classes) < 2 or not train.shape[1]
    if y.dtype != bool:
        if blind:
            return float((y_test == classes[counts.argmax()]).mean())
        return float((_classifier(probe, data.seed, len(y_train)).fit(train, y_train).predict(test) == y_test).mean())
    if blind:
        return stratified_auroc(y_test, np.zeros(len(y_test)), within)
    model = _classifier(probe, data.seed, len(y_train)).fit(train, y_train)
    return stratified_auroc(y_test, model.predict_proba(test)[:, 1], within)


def _classifier(probe: str, seed: int, n_rows: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    if probe == "random_forest":
        return RandomForestClassifier(N_TREES, random_state=seed)
    if probe == "gradient_boosting":
        return HistGradientBoostingClassifier(random_state=seed, **SETTINGS["gradient_boosting"])
    if probe == "knn_components":
        return KNeighborsClassifier(min(N_NEIGHBOURS, n_rows))
    if probe == "logistic_components":
        return LogisticRegression(max_iter=2000)  # ten inputs need no strong penalty
    return LogisticRegression(**SETTINGS["logistic"])


def stratified_auroc(y: np.ndarray, score: np.ndarray, strata: np.ndarray) -> float:
    """Return the share of pairs (positive, negative) inside a stratum that `score` orders rightly; NaN without pairs.

    A tie counts half; with one stratum this is the area under the ROC curve. All arrays (n_obs,), y bool.
    """
    from scipy.stats import rankdata

    right, pairs = 0.0, 0
    for stratum in np.unique(strata):
        rows = strata == stratum
        positive = y[rows]
        n_positive = int(positive.sum())
        n_negative = int((~positive).sum())
        ranks = rankdata(score[rows])
        right += ranks[positive].sum() - n_positive * (n_positive + 1) / 2
        pairs += n_positive * n_negative
    return right / pairs if pairs else np.nan


def silhouette(z: np.ndarray, y: np.ndarray, strata: np.ndarray) -> float:
    """Return the mean silhouette width (n_obs, -1 to 1) of the groups y inside strata that have both; NaN if none.

    0 where z has no columns: all rows lie in one place.
    """
    from sklearn.metrics import silhouette_samples

    widths = []
    for stratum in np.unique(strata):
        rows = strata == stratum
        if 2 <= len(np.unique(y[rows])) < rows.sum():
            widths.append(silhouette_samples(z[rows], y[rows]) if z.shape[1] else np.zeros(rows.sum()))
    return float(np.concatenate(widths).mean()) if widths else np.nan

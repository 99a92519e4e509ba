"""Rows on their first two principal components."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aeflow.errors import DataError
from aeflow.labels import shown_labels
from aeflow.plots.style import group_styles, new_figure, put_title, styled, unit_text

N_BLOCK = 12  # vectors that are iterated for the sake of two: the more, the sooner these two have settled
N_ITERATIONS = 20


class Components(NamedTuple):
    """Two principal components: mean (n_vars,), axes (n_vars, 2), and the percentage of variance along each (2,)."""

    mean: np.ndarray
    axes: np.ndarray
    percent: np.ndarray

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Return X (n_obs, n_vars) on the components (n_obs, 2)."""
        return (X - self.mean) @ self.axes


def two_components(X: np.ndarray) -> Components:
    """Return the first two principal components of X (n_obs, n_vars); the largest entry of each axis is positive.

    By subspace iteration (Halko, Martinsson & Tropp 2011, algorithm 4.4) from fixed random vectors, because a full
    decomposition of thousands of rows and genes takes minutes, and the import of scikit-learn a second.
    """
    mean = X.mean(axis=0)
    centred = X - mean
    size = min(N_BLOCK, *X.shape)
    basis = np.random.default_rng(0).standard_normal((X.shape[1], size)).astype(centred.dtype)
    for _ in range(N_ITERATIONS):
        basis = np.linalg.qr(centred @ basis)[0]
        basis = np.linalg.qr(centred.T @ basis)[0]
    _, values, right = np.linalg.svd(centred @ basis, full_matrices=False)
    axes = (basis @ right.T)[:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    share = np.zeros(2)
    if values[0] > 0:
        share = np.square(values[:2], dtype=float) / np.square(centred, dtype=float).sum()
    return Components(mean, axes, 100 * share)


@styled
def cohort_pca(
    X: np.ndarray,
    obs: pd.DataFrame,
    *,
    unit: str,
    origin: str,
    title: str = "Cohort",
    columns: tuple[str, ...] = ("study", "tissue", "condition"),
) -> Figure:
    """Return one panel per column of `obs`, the same projection of X (n_obs, n_vars) in each, coloured by it.

    unit : of X; components of raw counts are those of a few genes, so pass log values. Variables are centred, not
        scaled.
    """
    if len(X) != len(obs):
        raise DataError(f"cohort_pca: X has {len(X)} rows, obs has {len(obs)}")
    missing = [column for column in columns if column not in obs.columns]
    if missing:
        raise DataError(f"cohort_pca: obs has no column {missing[0]!r}; it has {list(obs.columns)}")
    components = two_components(X)
    z, share = components.scores(X), components.percent
    n_groups = max(obs[column].nunique() for column in columns)
    n_lines = -(-n_groups // 2)  # legends have two columns
    figure, axes = new_figure(3.8 * len(columns), 3.9 + 0.17 * n_lines, 1, len(columns), sharex=True, sharey=True)
    order = np.random.default_rng(0).permutation(len(z))  # else the last group would cover the others
    for ax, column in zip(axes[0], columns, strict=True):
        panel(ax, z[order], shown_labels(obs[column])[order], column)
        ax.set_xlabel(f"component 1 ({share[0]:.0f} % of variance)")
    axes[0][0].set_ylabel(f"component 2 ({share[1]:.0f} %)")
    put_title(figure, f"{title}: {len(X)} observations, {X.shape[1]} variables, {unit_text(unit)}", origin)
    return figure


def panel(ax, z: np.ndarray, groups: np.ndarray, column: str) -> None:
    """Draw rows z (n_obs, 2) coloured by their group, with the count of each group in the legend."""
    names, counts = np.unique(groups, return_counts=True)
    styles = group_styles(list(names))
    for name, count in zip(names, counts, strict=True):
        colour, marker = styles[name]
        mine = groups == name
        label = f"{name} ({count})"
        ax.scatter(*z[mine].T, s=9, alpha=0.6, color=colour, marker=marker, linewidths=0, label=label)
    ax.set_title(f"by {column}")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, markerscale=1.8, columnspacing=1)

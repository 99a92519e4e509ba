"""Anomaly scores: their distributions and ROC curves, with the control that belongs to them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aeflow.errors import DataError
from aeflow.plots.style import GREY, PALETTE, new_figure, put_title, styled

Pair = tuple[np.ndarray, np.ndarray]  # labels (n_obs,), 1 = anomaly; scores (n_obs,), higher = more anomalous
TAIL = 0.005  # share of values at either end that is drawn in the outermost bins
N_BINS = 40
LOG_RANGE = 100  # a largest score of more than this many times the smallest calls for a logarithmic axis


@styled
def score_histograms(
    scores: pd.DataFrame | pd.Series | Mapping[str, np.ndarray] | np.ndarray,
    labels: np.ndarray,
    title: str,
    *,
    origin: str,
) -> Figure:
    """Return one panel per score: its distribution in each group.

    scores : one column per score (n_obs,); a bare array is one score.
    labels : (n_obs,) group of each row, as text, or 0 = normal and 1 = anomaly.
    """
    if isinstance(scores, np.ndarray):
        scores = {"anomaly score": scores}
    frame = scores.to_frame() if isinstance(scores, pd.Series) else pd.DataFrame(scores)
    groups = _group_names(np.asarray(labels))
    names = list(dict.fromkeys(sorted(groups, key=lambda g: (g != "normal", g))))
    columns = min(3, len(frame.columns))
    rows = math.ceil(len(frame.columns) / columns)
    figure, axes = new_figure(max(4.5, 3.5 * columns), 2.7 * rows + 0.9, rows, columns)
    for ax, column in zip(axes.flat, frame.columns, strict=False):
        _histogram(ax, str(column), frame[column].to_numpy(dtype=float), groups, names)
    for ax in axes.flat[len(frame.columns) :]:
        ax.set_axis_off()
    for row in axes:
        row[0].set_ylabel("share of the group")
    handles, texts = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=len(texts))
    put_title(figure, title, origin)
    return figure


def _group_names(labels: np.ndarray) -> np.ndarray:
    if labels.dtype.kind in "biuf":
        return np.where(labels.astype(bool), "anomaly", "normal")
    return labels.astype(str)


def _histogram(ax, name: str, values: np.ndarray, groups: np.ndarray, names: list[str]) -> None:
    _check_finite(name, values)
    low, high = np.quantile(values, [TAIL, 1 - TAIL])
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, N_BINS + 1)
    if low > 0 and high / low > LOG_RANGE:
        edges = np.geomspace(low, high, N_BINS + 1)
        ax.set_xscale("log")
    for group, colour in zip(names, PALETTE, strict=False):
        mine = np.clip(values[groups == group], low, high)
        weights = np.full(len(mine), 1 / len(mine))
        ax.hist(mine, edges, weights=weights, color=colour, alpha=0.25)
        ax.hist(mine, edges, weights=weights, color=colour, histtype="step", label=f"{group} (n = {len(mine)})")
    ax.set(title=name, xlabel=f"score (outermost {200 * TAIL:g} % in the end bins)")


@styled
def roc_curves(
    pairs: Mapping[str, Pair],
    *,
    origin: str,
    title: str = "Anomaly detection",
    control: Mapping[str, Pair] | None = None,
    control_name: str = "GTEx normal vs TCGA normal",
) -> Figure:
    """Return ROC curves with their AUROC; the control of a score is dashed, in the colour of its curve.

    pairs : {score name: (labels, scores)}, anomalies against normal rows.
    control : the same scores on two groups of normal rows; a curve away from the diagonal shows that the score sees
        what tells these apart, such as the study.
    """
    unknown = set(control or {}) - set(pairs)
    if unknown:
        raise DataError(f"figure {title!r}: control of {sorted(unknown)[0]!r}, which is not among the scores")
    n_characters = max(len(control_name), *(len(f"{name}: AUROC 0.000") for name in pairs))
    width = 5.2 + 0.07 * n_characters  # square axes, then the legend
    figure, axes = new_figure(width, 4.6)
    ax = axes[0][0]
    for index, (name, pair) in enumerate(pairs.items()):
        colour = PALETTE[index % len(PALETTE)]
        _curve(ax, name, pair, f"{name}: AUROC {{:.3f}}", color=colour, linewidth=1.6)
        if control and name in control:
            _curve(
                ax, f"{name}, control", control[name], "    control: {:.3f}", color=colour, linestyle="--", linewidth=1
            )
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="chance: 0.500")
    ax.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    ax.set_box_aspect(1)
    heading = f"dashed: control,\n{control_name}" if control else None
    figure.legend(loc="outside right center", title=heading, title_fontsize=8, alignment="left")
    put_title(figure, title, origin)
    return figure


def _curve(ax, name: str, pair: Pair, text: str, **style) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    labels, scores = (np.asarray(part) for part in pair)
    _check_finite(name, scores)
    if len(np.unique(labels)) != 2:
        raise DataError(f"score {name!r}: a ROC curve needs both labels, found {np.unique(labels).tolist()}")
    false_positive, true_positive, _ = roc_curve(labels, scores)
    ax.plot(false_positive, true_positive, label=text.format(roc_auc_score(labels, scores)), **style)


def _check_finite(name: str, values: np.ndarray) -> None:
    if len(values) == 0 or not np.isfinite(values).all():
        raise DataError(f"score {name!r}: {(~np.isfinite(values)).sum()} of {len(values)} values are not finite")

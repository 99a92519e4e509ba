"""ROC curves of anomaly scores, with the control that belongs to them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from aeflow.errors import DataError
from aeflow.plots.style import GREY, PALETTE, new_figure, put_title, styled

Pair = tuple[np.ndarray, np.ndarray]  # labels (n_obs,), 1 = anomaly; scores (n_obs,), higher = more anomalous


@styled
def roc_curves(
    pairs: Mapping[str, Pair],
    *,
    origin: str,
    title: str = "Anomaly detection",
    control: Mapping[str, Pair] | None = None,
    control_name: str = "GTEx normal vs TCGA normal",
) -> Figure:
    """Return ROC curves with their AUROC, at most one a colour in a panel; the control of a score is dashed beside it.

    pairs : {score name: (labels, scores)}, anomalies against normal rows.
    control : the same scores on two groups of normal rows; a curve away from the diagonal shows that the score sees
        what tells these apart, such as the study.
    """
    unknown = set(control or {}) - set(pairs)
    if unknown:
        raise DataError(f"figure {title!r}: control of {sorted(unknown)[0]!r}, which is not among the scores")
    # no colour twice in a panel: each has as many scores as there are colours, or fewer
    n_panels = math.ceil(len(pairs) / len(PALETTE))
    n_lines = math.ceil(len(pairs) / n_panels)
    shown = [list(pairs)[start : start + n_lines] for start in range(0, len(pairs), n_lines)]
    # panels are nearly square; a fixed aspect would let the legends leave the figure
    figure, axes = new_figure(5 * n_panels, 5.5 + 0.18 * n_lines, 1, n_panels)
    for ax, names in zip(axes[0], shown, strict=True):
        for name, colour in zip(names, PALETTE, strict=False):
            label = f"{name}: AUROC {_curve(ax, name, pairs[name], color=colour, linewidth=1.6):.3f}"
            if control and name in control:
                style = {"color": colour, "linestyle": "--", "linewidth": 1}
                label += f", control {_curve(ax, f'{name}, control', control[name], **style):.3f}"
            ax.plot([], [], color=colour, linewidth=1.6, label=label)
        ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="chance: 0.500")
        ax.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        heading = f"dashed: control, {control_name}" if control else None
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), title=heading, title_fontsize=8, alignment="left")
    put_title(figure, title, origin)
    return figure


def _curve(ax, name: str, pair: Pair, **style) -> float:
    """Draw one curve and return the area under it."""
    labels = np.asarray(pair[0])
    scores = np.asarray(pair[1])
    if len(scores) == 0 or not np.isfinite(scores).all():
        raise DataError(f"score {name!r}: {(~np.isfinite(scores)).sum()} of {len(scores)} values are not finite")
    if len(np.unique(labels)) != 2:
        raise DataError(f"score {name!r}: a ROC curve needs both labels, found {np.unique(labels).tolist()}")
    false_positive, true_positive = roc_points(labels, scores)
    ax.plot(false_positive, true_positive, **style)
    return float(np.trapezoid(true_positive, false_positive))


def roc_points(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of a ROC curve: rates of false and of true positives from 0 to 1, tied scores one step.

    labels : (n_obs,) of both kinds, 1 = anomaly; scores (n_obs,), finite. Numbers as scikit-learn's `roc_curve`
    gives them, whose import costs more than drawing all figures of a run.
    """
    order = np.argsort(-scores, kind="stable")
    anomaly = np.asarray(labels)[order].astype(bool)
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    true_positive = np.append(0, np.cumsum(anomaly)[last_of_tie])
    false_positive = np.append(0, np.cumsum(~anomaly)[last_of_tie])
    turns = (np.diff(true_positive, 2) != 0) | (np.diff(false_positive, 2) != 0)
    corner = np.concatenate([[True], turns, [True]])
    return false_positive[corner] / false_positive[-1], true_positive[corner] / true_positive[-1]

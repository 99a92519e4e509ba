"""ROC curves of anomaly scores, with the control that belongs to them."""

from __future__ import annotations

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
    labels, scores = (np.asarray(part) for part in pair)
    if len(scores) == 0 or not np.isfinite(scores).all():
        raise DataError(f"score {name!r}: {(~np.isfinite(scores)).sum()} of {len(scores)} values are not finite")
    if len(np.unique(labels)) != 2:
        raise DataError(f"score {name!r}: a ROC curve needs both labels, found {np.unique(labels).tolist()}")
    false_positive, true_positive = roc_points(labels, scores)
    auroc = np.trapezoid(true_positive, false_positive)
    ax.plot(false_positive, true_positive, label=text.format(auroc), **style)


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

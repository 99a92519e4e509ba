"""Gene sets and genes that tell test samples apart."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from aeflow.errors import DataError
from aeflow.labels import shown_labels
from aeflow.plots.gallery.declaration import gallery_figure
from aeflow.plots.gallery.material import Material
from aeflow.plots.style import GREY, PALETTE, new_figure, put_title, unit_text

LIMIT = 3  # sd at which the colours of the heatmap end
Q, LEAST_DIFFERENCE = 0.05, 1.0  # a gene in colour: q below, mean difference above
N_NAMED = 8  # genes named at either side
LINE = 0.052  # height of a name, as a share of the axis
LABEL_LINE = 0.016  # width of an upright label, as a share of the columns
NARROW = 0.055  # share of the columns that a group needs for a label written across
MAX_NAME = 38  # characters of a gene set's name


@gallery_figure(
    observations="expression",
    roles={"gsae": "GSAE"},
    task=True,
    caption="Activity of each gene-set node of a gene-superset autoencoder (rows, clustered) in test samples "
    "(columns, by tissue, condition and study), in standard deviations of the task's normal test samples. "
    "Nodes are turned so that more means higher expression of the set's genes. A block that changes from the "
    "normals of one study to its tumours is a set that differs; one that changes between the normals of two "
    "studies sees the study.",
)
def gene_sets(m: Material) -> Figure:
    """Return the activity of gene-set nodes, in standard deviations of normal test samples."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    run, obs = m.runs["gsae"], m.test.obs
    with torch.no_grad():
        activity = run.model.gene_set_activity(m.batch(run)).cpu().numpy().astype(float)
    normal = m.test_mask("normal")
    mean = activity[normal].mean(0)
    sd = activity[normal].std(0)
    z = (activity - mean) / np.where(sd > 0, sd, 1)
    z *= _direction(activity, m.test.X @ run.model.mask.cpu().numpy())
    sets = leaves_list(linkage(np.clip(z, -LIMIT, LIMIT).T, "average", metric="euclidean"))
    keys = [shown_labels(obs[column]) for column in ("tissue", "condition", "study")]
    order = np.lexsort(keys[::-1])
    groups = np.array(["\n".join(key) for key in zip(*keys, strict=True)])[order]

    n_sets = z.shape[1]
    figure, axes = new_figure(11, max(4.5, 0.17 * n_sets + 2.2))
    ax = axes[0][0]
    picture = ax.imshow(
        z[order][:, sets].T, cmap="PuOr_r", vmin=-LIMIT, vmax=LIMIT, aspect="auto", interpolation="nearest"
    )
    names = [run.info["gene_sets"][i].removeprefix("HALLMARK_").replace("_", " ").lower()[:MAX_NAME] for i in sets]
    ax.set_yticks(range(n_sets), names, fontsize=7)
    _mark_groups(ax, groups)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = figure.colorbar(picture, ax=ax, shrink=0.5, pad=0.01, extend="both")
    bar.set_label("activity [sd of normal test samples]", labelpad=8)
    put_title(figure, m.title(f"{n_sets} gene sets of {run.name} in {len(z)} test samples"), m.info["origin"])
    return figure


def _direction(activity: np.ndarray, expression: np.ndarray) -> np.ndarray:
    """Return +1 or -1 per set, so that activity grows with the summed expression of the set's genes."""
    covariance = ((activity - activity.mean(0)) * (expression - expression.mean(0))).mean(0)
    return np.where(covariance < 0, -1.0, 1.0)


def _mark_groups(ax, groups: np.ndarray) -> None:
    """Label each run of equal neighbours above the columns, with a line at every border."""
    borders = [0, *(np.flatnonzero(groups[1:] != groups[:-1]) + 1), len(groups)]
    for border in borders[1:-1]:
        ax.axvline(border - 0.5, color="black", linewidth=1)
    centres = [(a + b - 1) / 2 for a, b in itertools.pairwise(borders)]
    labels = [f"{groups[a]}\n(n = {b - a})" for a, b in itertools.pairwise(borders)]
    narrow = min(b - a for a, b in itertools.pairwise(borders)) < NARROW * len(groups)
    if narrow:
        labels = [label.replace("\n", " ") for label in labels]
    if narrow:  # names stand upright, at least a line apart, above their groups as nearly as that allows
        apart = LABEL_LINE * len(groups)
        for i in range(1, len(centres)):
            centres[i] = max(centres[i], centres[i - 1] + apart)
    ax.set_xticks(centres, labels, rotation=90 if narrow else 0)
    ax.xaxis.tick_top()


@gallery_figure(
    observations="expression",
    roles={"model": "any"},
    task=True,
    caption="Genes that a model of normal samples cannot explain in anomalies: difference of the mean residual "
    "(measured minus reconstructed) of anomalous and normal test samples, against its q-value (Welch's t on "
    "one mean per donor and group, Benjamini-Hochberg over genes). Named are the surest genes on either side. "
    "A gene the model reconstructs well is not here, however different it is.",
)
def volcano(m: Material) -> Figure:
    """Return the difference of each gene's mean residual, anomalies minus normals, against its q-value."""
    run = m.runs["model"]
    residual = (m.test.X - m.reconstruct(run)) * m.test.var["scale"].to_numpy()  # centring cancels in x - x_hat
    difference, q = residual_test(residual, m.test.obs, m.test_mask("anomaly"), m.test_mask("normal"))
    height = -np.log10(np.maximum(q, np.finfo(float).tiny))
    known = m.test.var["symbol"] if "symbol" in m.test.var else m.test.var["var_id"]
    figure, axes = new_figure(9.5, 5.6)
    ax = axes[0][0]
    sure = (q < Q) & (np.abs(difference) >= LEAST_DIFFERENCE)
    up, down = sure & (difference > 0), sure & (difference < 0)
    for name, genes, colour, marker, size in (
        (f"q ≥ {Q:g} or difference < {LEAST_DIFFERENCE:g}", ~sure, GREY, "o", 6),
        ("lower in anomalies", down, PALETTE[0], "v", 14),
        ("higher in anomalies", up, PALETTE[4], "^", 14),
    ):
        label = f"{name} ({int(genes.sum())})"
        style = {"s": size, "color": colour, "marker": marker, "linewidths": 0, "alpha": 0.7, "label": label}
        ax.scatter(difference[genes], height[genes], **style)
    reach = 1.05 * max(np.abs(difference).max(), LEAST_DIFFERENCE)
    top = 1.06 * max(height.max(), 2)
    ax.set(xlim=(-1.6 * reach, 1.6 * reach), ylim=(-0.02 * top, top))
    for genes, sign in ((up, 1), (down, -1)):
        _name_genes(ax, difference, height, known.astype(str).to_numpy(), genes, sign * 1.15 * reach, top)
    ax.axhline(-np.log10(Q), color=GREY, linewidth=0.8, linestyle="--")
    for x in (-LEAST_DIFFERENCE, LEAST_DIFFERENCE):
        ax.axvline(x, color=GREY, linewidth=0.8, linestyle="--")
    unit = unit_text(m.info["unit_before_scale"])
    ax.set(xlabel=f"difference of mean residuals, anomalous minus normal [{unit}]", ylabel="-log10 q")
    figure.legend(loc="outside lower center", ncols=3, markerscale=1.6)
    n = {side: int(m.test_mask(side).sum()) for side in ("anomaly", "normal")}
    groups = f"{n['anomaly']} anomalous against {n['normal']} normal test samples"
    put_title(figure, m.title(f"Genes that {run.name} cannot explain, {groups}"), m.info["origin"])
    return figure


def residual_test(
    residual: np.ndarray, obs: pd.DataFrame, anomaly: np.ndarray, normal: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return difference of means and q-value (n_vars,) of residuals (n_obs, n_vars), anomalies against normals.

    Samples of one donor are not independent, so each group has one mean per donor. A gene without any spread has q 1.
    """
    from scipy.stats import false_discovery_control, ttest_ind

    groups = [
        pd.DataFrame(residual[rows]).groupby(obs["donor_id"].to_numpy()[rows]).mean() for rows in (anomaly, normal)
    ]
    if min(map(len, groups)) < 2:
        raise DataError(f"figure volcano: needs 2 donors in each group, found {[len(group) for group in groups]}")
    one, other = (group.to_numpy(dtype=float) for group in groups)
    varies = (np.ptp(one, axis=0) > 0) | (np.ptp(other, axis=0) > 0)
    p = np.ones(one.shape[1])
    p[varies] = ttest_ind(one[:, varies], other[:, varies], equal_var=False).pvalue
    return one.mean(0) - other.mean(0), false_discovery_control(p)


def _name_genes(ax, x, y, names, genes: np.ndarray, at: float, top: float) -> None:
    """Write the names of the surest genes in a column beside the points, each as near its height as there is room."""
    chosen = np.flatnonzero(genes)
    chosen = chosen[np.argsort(-y[chosen], kind="stable")][:N_NAMED]
    heights: list[float] = []
    for i in chosen:  # downwards, each below the one before
        heights.append(min(y[i], heights[-1] - LINE * top if heights else LINE * 18 * top))
    for k in range(len(heights)):  # upwards, none below the axis
        heights[-1 - k] = max(heights[-1 - k], k * LINE * top)
    side, edge = ("left", 0) if at > 0 else ("right", 1)
    arrow = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 2, "relpos": (edge, 0.5)}
    style = {"ha": side, "va": "center", "fontsize": 8, "arrowprops": arrow}
    style["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    for i, height in zip(chosen, heights, strict=True):
        ax.annotate(names[i], (x[i], y[i]), (at, height), **style)

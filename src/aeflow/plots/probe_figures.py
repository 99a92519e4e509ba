"""Before and after a correction: the cohort on its principal components, and what classifiers can still tell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aeflow.errors import DataError
from aeflow.labels import shown_labels
from aeflow.plots.components import panel, two_components
from aeflow.plots.style import GREY, group_styles, new_figure, put_title, styled, unit_text

NAMES = {
    "logistic": "logistic regression",
    "logistic_components": "logistic regression\non components",
    "random_forest": "random forest",
    "gradient_boosting": "gradient boosting",
    "knn_components": "nearest neighbours\non components",
    "zeros": "zeros alone",
    "ties": "tied values alone",
    "silhouette": "silhouette",
}
PANELS = (  # title, x axis, (target, probes), value where there is nothing to see, limits
    ("Study of normals: to be lost", "AUROC (0.5: cannot be named)", ("study",), 0.5, (-0.05, 1.05)),
    ("Tissue, tumour: to be kept", "accuracy (tissue), AUROC (tumour)", ("tissue", "tumour"), None, (-0.05, 1.05)),
    ("Study, silhouette", "width (0: no groups)", ("silhouette",), 0.0, (-1.25, 1.25)),
)


@styled
def probe_pca(
    stages: Mapping[str, np.ndarray],
    obs: pd.DataFrame,
    *,
    unit: str,
    origin: str,
    title: str = "Cohort",
    columns: tuple[str, ...] = ("study", "tissue", "condition"),
) -> Figure:
    """Return one row of panels per stage, one panel per column of `obs`; each stage has its own two components.

    stages : {name of the correction: X (n_obs, n_vars)}, log values in `unit`. Variables are centred, not scaled.
    """
    missing = [column for column in columns if column not in obs.columns]
    if missing:
        raise DataError(f"probe_pca: obs has no column {missing[0]!r}; it has {list(obs.columns)}")
    wrong = [name for name, X in stages.items() if len(X) != len(obs)]
    if wrong or not stages:
        raise DataError(f"probe_pca: stage {wrong[0]!r} has not the {len(obs)} rows of obs" if wrong else "no stage")
    n_lines = -(-max(obs[column].nunique() for column in columns) // 2)  # legends have two columns
    height = 3.1 * len(stages) + 0.9 + 0.17 * n_lines
    figure, axes = new_figure(3.8 * len(columns), height, len(stages), len(columns))
    order = np.random.default_rng(0).permutation(len(obs))  # else the last group would cover the others
    for i, (name, X) in enumerate(stages.items()):
        components = two_components(X)
        z, share = components.scores(X)[order], components.percent
        for ax, column in zip(axes[i], columns, strict=True):
            panel(ax, z, shown_labels(obs[column])[order], column)
            ax.set_xlabel(f"component 1 ({share[0]:.0f} % of variance)")
            if i < len(stages) - 1:
                ax.get_legend().remove()
            if i:
                ax.set_title("")
        axes[i][0].set_ylabel(f"{name}\ncomponent 2 ({share[1]:.0f} %)")
    n_vars = next(iter(stages.values())).shape[1]
    put_title(figure, f"{title}: {len(obs)} observations, {n_vars} variables, {unit_text(unit)}", origin)
    return figure


@styled
def probe_figure(probes: pd.DataFrame, title: str, origin: str) -> Figure:
    """Return dots per probe, one colour per stage, mean and standard deviation over folds; permuted labels in grey.

    probes : rows of `study_probes`, of one stage or more. What could not be probed is
        named in its panel.
    """
    stages = list(dict.fromkeys(probes["stage"]))
    panels = probes["target"].mask(probes["probe"] == "silhouette", "silhouette")  # another scale, its own panel
    rows = {p: _rows_of(probes[panels.isin(p[2]) & probes["mean"].notna()]) for p in PANELS}
    tallest = max(len(found) for found in rows.values())
    height = 2.4 + max(tallest, 3) * (0.34 + 0.09 * len(stages))
    figure, axes = new_figure(12.5, height, 1, len(PANELS), gridspec_kw={"width_ratios": (1.2, 1.2, 0.7)})
    for ax, (spec, found) in zip(axes[0], rows.items(), strict=True):
        _dots(ax, probes[panels.isin(spec[2])], found, group_styles(stages))
        ax.set_ylim(max(tallest, 1) - 0.45, -0.55)  # the same distance between rows in every panel
        ax.set(title=spec[0], xlabel=spec[1], xlim=spec[4])
        if spec[3] is not None:
            ax.axvline(spec[3], color=GREY, linewidth=0.8, linestyle="--", zorder=0)
    _legend(figure, axes[0][0], stages)
    put_title(figure, title, origin)
    return figure


def _rows_of(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(dict.fromkeys(zip(frame["target"], frame["probe"], strict=True)))


def _dots(ax, probes: pd.DataFrame, rows: list[tuple[str, str]], styles: dict) -> None:
    """Draw one row per (target, probe), stages one below the other inside it, permuted labels at the same height."""
    step = 0.7 / max(len(styles), 1)
    by_key = {(r.target, r.probe, r.stage, r.permuted): (r.mean, r.sd) for r in probes.itertuples()}
    for i, (target, probe) in enumerate(rows):
        for k, (stage, (colour, marker)) in enumerate(styles.items()):
            y = i + (k - (len(styles) - 1) / 2) * step
            for permuted in (True, False):
                mean, sd = by_key.get((target, probe, stage, permuted), (np.nan, np.nan))
                error = None if np.isnan(sd) else [sd]
                style = {"fmt": "o", "ms": 3.5, "color": GREY, "alpha": 0.55}
                style = style if permuted else {"fmt": marker, "ms": 5.5, "color": colour}
                ax.errorbar([mean], [y], xerr=error, **style)
    labels = [NAMES.get(p, p) if t == "study" else f"{t}: {NAMES.get(p, p)}" for t, p in rows]
    ax.set_yticks(range(len(rows)), labels)
    ax.grid(axis="y", color="0.92", linewidth=0.8)
    ax.set_axisbelow(True)
    lacking = [target for target in dict.fromkeys(probes["target"]) if target not in {t for t, _ in rows}]
    if lacking:
        text = f"{', '.join(lacking)}: cannot be probed,\nthe note in the table says why"
        ax.text(0.5, 0.06, text, ha="center", color=GREY, transform=ax.transAxes)


def _legend(figure: Figure, ax, stages: list[str]) -> None:
    handles = [ax.plot([], [], color=c, marker=m, linestyle="")[0] for c, m in group_styles(stages).values()]
    handles += ax.plot([], [], color=GREY, alpha=0.55, marker="o", markersize=3.5, linestyle="")
    names = [f"correction: {stage}" for stage in stages] + ["labels permuted"]
    figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 5))

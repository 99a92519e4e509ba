"""Leaderboards as pictures."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aeflow.errors import DataError
from aeflow.plots.style import GREY, PALETTE, new_figure, put_title, styled

MAX_TITLE = 50  # characters that fit over a panel
N_COLUMNS = 4  # of panels that are no grid
BETTER = "better than "  # how a verdict starts that fills a dot


@styled
def leaderboard_figure(board: pd.DataFrame, metrics: list[str], title: str, *, baseline: str) -> Figure:
    """Return a panel for each metric (rows) and view (columns): one dot a model, bars of one sd over seeds.

    Where a view lacks a metric, panels of what there is follow one another, view by view, `N_COLUMNS` to a row.

    A dashed line marks the mean of the baseline; a dot is filled if the verdict is "better than" it. Where the board
    holds the control of an AUROC (the same name, control_auroc), it is a diamond in the same panel, beside a line at
    0.5.

    board : columns as in leaderboard.parquet; its origin decides what the title says.
    baseline : the model that every other one is compared with.
    """
    origins = board["origin"].unique().tolist()
    if len(origins) != 1:
        raise DataError(f"figure {title!r}: the leaderboard must have one origin, found {origins}")
    absent = [metric for metric in metrics if not (board["metric"] == metric).any()]
    if absent or not metrics:
        raise DataError(f"figure {title!r}: the leaderboard has no metric {absent[0] if absent else ''!r}")
    shown = board[board["metric"].isin(metrics)]
    views = sorted(shown["view"].unique())
    models = [baseline, *sorted(set(shown["model"]) - {baseline})]
    measured = set(zip(shown["view"], shown["metric"], strict=True))
    whole = len(measured) == len(views) * len(metrics)
    if whole:
        panels = [(view, metric) for metric in metrics for view in views]
        n_columns, shared = len(views), {"sharey": True, "sharex": "row"}
    else:
        panels = [(view, metric) for view in views for metric in metrics if (view, metric) in measured]
        n_columns, shared = min(N_COLUMNS, len(panels)), {"sharey": True}
    n_rows = -(-len(panels) // n_columns)
    height = n_rows * (0.27 * len(models) + 0.95) + 0.9
    figure, axes = new_figure(1.6 + 3.6 * n_columns, height, n_rows, n_columns, **shared)
    for ax, (view, metric) in zip(axes.flat, panels, strict=False):
        of_view = board[board["view"] == view].set_index("model")
        _panel(ax, of_view[of_view["metric"] == metric], models, baseline)
        if metric.endswith("/auroc"):
            _control(ax, of_view[of_view["metric"] == metric.removesuffix("auroc") + "control_auroc"], models)
        heading = _wrapped(metric)
        ax.set_title(f"view {view}\n{heading}" if metric == metrics[0] or not whole else heading)
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    axes[0, 0].set_yticks(range(len(models)), models)
    axes[0, 0].set_ylim(len(models) - 0.5, -0.5)
    _legend(figure, axes, baseline)
    put_title(figure, title, origins[0])
    return figure


def _wrapped(metric: str) -> str:
    """Return the name on two lines, broken at a slash, if one line is too narrow for it."""
    if len(metric) <= MAX_TITLE:
        return metric
    cut = metric.rfind("/", 0, MAX_TITLE) + 1
    return f"{metric[:cut]}\n{metric[cut:]}"


def _panel(ax, rows: pd.DataFrame, models: list[str], baseline: str) -> None:
    better = rows["direction"].iloc[0]
    direction = "" if better == "none" else f" ({better} is better)"
    for model, row in rows.iterrows():
        colour = "black" if model == baseline else PALETTE[0]
        filled = model == baseline or row["verdict"].startswith(BETTER)
        sd = row["sd"] if np.isfinite(row["sd"]) else None
        y = models.index(model)
        style = {"color": colour, "markerfacecolor": colour if filled else "white", "markersize": 6, "capsize": 2}
        ax.errorbar(row["mean"], y, xerr=sd, fmt="o", **style)
    for model in set(models) - set(rows.index):  # such as the density of a model that has none, or not trained here
        y = models.index(model)
        where = ax.get_yaxis_transform()
        white = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        ax.text(0.01, y, "no value", transform=where, va="center", color=GREY, bbox=white)
    if baseline in rows.index:
        ax.axvline(rows.loc[baseline, "mean"], color="black", linewidth=1, linestyle="--", zorder=0)
    seeds = sorted(rows["n_seeds"].unique())
    text = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    ax.set_xlabel(f"mean over {text} seed{'s' if seeds[-1] > 1 else ''}{direction}")
    ax.locator_params(axis="x", nbins=5)  # values near 1 have long labels
    ax.grid(axis="y", color="0.9", linewidth=0.8)
    ax.set_axisbelow(True)


def _control(ax, rows: pd.DataFrame, models: list[str]) -> None:
    for model, row in rows.iterrows():
        sd = row["sd"] if np.isfinite(row["sd"]) else None
        y = models.index(model) + 0.25
        ax.errorbar(row["mean"], y, xerr=sd, fmt="D", color=PALETTE[4], markersize=4, capsize=1.5, linewidth=1)
    if len(rows):
        ax.axvline(0.5, color=PALETTE[4], linewidth=1, linestyle=":", zorder=0)


def _legend(figure: Figure, axes, baseline: str) -> None:
    from matplotlib.lines import Line2D

    def entry(label: str, **style) -> Line2D:
        return Line2D([], [], label=label, **{"linestyle": "", "marker": "o", "markersize": 6, **style})

    line = {"marker": "", "linewidth": 1}
    handles = [
        entry(f"{baseline}, its mean dashed", color="black", linestyle="--", linewidth=1),
        entry(f"{BETTER}{baseline}", color=PALETTE[0]),
        entry(f"not shown to be better than {baseline}", color=PALETTE[0], markerfacecolor="white"),
    ]
    if any(line.get_linestyle() == ":" for ax in axes.flat for line in ax.lines):
        handles.append(
            entry(
                "control: AUROC of one study's normals against the other's", color=PALETTE[4], marker="D", markersize=4
            )
        )
        handles.append(entry("0.5: the control sees no difference", color=PALETTE[4], **line, linestyle=":"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3 if len(axes[0]) > 1 else 1)

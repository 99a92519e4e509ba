"""Curves: losses epoch by epoch, and how well scores rank anomalies."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aeflow.errors import DataError
from aeflow.evaluation.task import labelled
from aeflow.plots.gallery.declaration import gallery_figure
from aeflow.plots.gallery.material import Material, ShownRun
from aeflow.plots.roc_curves import roc_curves
from aeflow.plots.style import GREY, PALETTE, new_figure, put_title

LOG_RANGE = 20  # a largest value of more than this many times the smallest calls for a logarithmic axis
UNIT = "mean per observation\n[nats or squared units]"
MAX_COLUMNS = 3
SCORE = "deviation/squared_error"
BASELINE = "baseline/squared_distance_to_mean"  # knows no model


@gallery_figure(
    roles={"narrow": "AE", "wide": "AE"},
    caption="Reconstruction error of training and validation rows per epoch, of a narrow autoencoder and of an "
    "overcomplete one. Where the validation curve leaves the training curve, the model learns its training "
    "rows by heart; the dotted line is the epoch whose weights were kept. With many rows even the wide one "
    "need not overfit: it may simply copy. Training values are means over an epoch whose weights still "
    "change, so the first lie above validation.",
)
def overfitting(m: Material) -> Figure:
    """Return reconstruction errors of training and validation rows of a narrow and of a wide autoencoder."""
    figure, axes = new_figure(8.6, 3.8, 1, 2, sharey=True)
    for ax, role in zip(axes[0], ("narrow", "wide"), strict=True):
        run = m.runs[role]
        drawn = [run.history["train_reconstruction"], run.history["val_reconstruction"]]
        for values, colour, style, name in zip(drawn, PALETTE, ("-", "--"), ("training", "validation"), strict=False):
            _line(ax, run.history["epoch"], values, colour=colour, style=style, label=f"{name} rows")
        ratio = drawn[1].iloc[-1] / drawn[0].iloc[-1]
        _mark_epoch(ax, run)
        _label_epochs(ax, run)
        ax.set_title(f"{run.name}, {run.info['n_latent']:,} latents\nlast epoch: validation / training = {ratio:.2f}")
    _log_if_wide(axes[0][0], list(axes[0]))
    axes[0][0].set_ylabel("reconstruction\n" + UNIT)
    _legend(figure, axes, ncols=3)
    n_train, n_vars = m.info["n_obs_train"], m.info["n_vars"]
    text = f"Learnt by heart? {n_train:,} training rows of {n_vars:,} variables"
    put_title(figure, m.title(text), m.info["origin"])
    return figure


@gallery_figure(
    caption="The parts of the loss per epoch, means per observation: reconstruction, penalty times its weight, and "
    "their sum, which training lowers. For a variational autoencoder the sum is its negative ELBO and the "
    "penalty the divergence of posterior from prior. Parts trade off: a penalty may rise while the sum falls. "
    "Compare within a panel, not between panels. Training values are means over an epoch whose weights still "
    "change, so the first lie above validation.",
)
def loss_parts(m: Material) -> Figure:
    """Return one panel per run: reconstruction, weighted penalty and their sum, of training and validation rows."""
    n_columns = min(MAX_COLUMNS, len(m.runs))
    n_rows = -(-len(m.runs) // n_columns)
    figure, axes = new_figure(max(4.6, 3.5 * n_columns), 3.1 * n_rows + 1, n_rows, n_columns)
    for ax, run in zip(axes.flat, m.runs.values(), strict=False):
        for split, style in (("train", "-"), ("val", "--")):
            for name, values, look in _parts(run.history, split):
                _line(ax, run.history["epoch"], values, style=style, label=f"{name}, {split}", **look)
            if split == "train":
                _mark_epoch(ax, run)
        _label_epochs(ax, run)
        _log_if_wide(ax, [ax])
        ax.set_title(run.name)
    for ax in axes.flat[len(m.runs) :]:
        ax.set_axis_off()
    for row in axes:
        row[0].set_ylabel(UNIT)
    _legend(figure, axes, ncols=2)
    put_title(figure, m.title("Losses and their parts"), m.info["origin"])
    return figure


@gallery_figure(
    scores=True,
    task=True,
    caption="How well the squared reconstruction error of each model ranks anomalies above normal test rows, beside "
    "the distance to the training mean, which needs no model: a model whose curve does not exceed it adds "
    "nothing. Dashed curves, where the task has a control, are the same score on two groups of normals: far "
    "from the diagonal, the score sees what tells these apart, such as the study.",
)
def roc(m: Material) -> Figure:
    """Return ROC curves of the squared error of each model and of the score that knows none, with their controls."""
    if len(m.runs) >= len(PALETTE):
        raise DataError(f"figure roc: {len(m.runs)} models, there are colours for {len(PALETTE) - 1}")
    scores = {run.name: _scores(m, run, SCORE) for run in m.runs.values()}
    scores["no model, distance to mean"] = _scores(m, next(iter(m.runs.values())), BASELINE)
    sides = {side: m.test_mask(side) for side in m.masks}
    pairs = {name: labelled(value, sides["normal"], sides["anomaly"]) for name, value in scores.items()}
    control = None
    if "control_positive" in sides:
        control = {n: labelled(v, sides["control_negative"], sides["control_positive"]) for n, v in scores.items()}
    return roc_curves(
        pairs,
        origin=m.info["origin"],
        title=m.title("Anomalies by reconstruction error"),
        control=control,
        control_name=m.control,
    )


def _parts(history: pd.DataFrame, split: str) -> list[tuple[str, pd.Series, dict]]:
    """Return name, values and look of what is drawn of a split; a model without penalty has one part."""
    reconstruction = history[f"{split}_reconstruction"]
    penalty = history["penalty_weight"] * history[f"{split}_penalty"]
    parts = [
        ("reconstruction", reconstruction, {"colour": PALETTE[0]}),
        ("weighted penalty", penalty, {"colour": PALETTE[1]}),
    ]
    if not penalty.any():
        return parts[:1]
    # below its parts and broad, because it may lie on one of them
    return [("sum", reconstruction + penalty, {"colour": PALETTE[6], "linewidth": 4, "alpha": 0.3}), *parts]


def _line(ax, x, y, *, colour: str, style: str, label: str, linewidth: float = 1.4, alpha: float = 1) -> None:
    marker = "o" if len(x) < 3 else None
    ax.plot(x, y, style, color=colour, marker=marker, markersize=4, linewidth=linewidth, alpha=alpha, label=label)


def _mark_epoch(ax, run: ShownRun) -> None:
    ax.axvline(run.info["best_epoch"], color=GREY, linewidth=1, linestyle=":", label="epoch kept")


def _label_epochs(ax, run: ShownRun) -> None:
    ax.set_xlabel("epoch")
    epochs = run.history["epoch"]
    if len(epochs) == 1:  # a closed form
        ax.set(xticks=epochs, xlim=(epochs[0] - 0.5, epochs[0] + 0.5))
    else:
        ax.xaxis.get_major_locator().set_params(integer=True)


def _log_if_wide(ax, axes: list) -> None:
    """Put `ax` (and what shares its axis) on a logarithmic scale if the curves in `axes` ask for it and allow it."""
    curves = [line.get_ydata() for one in axes for line in one.lines if line.get_label() != "epoch kept"]
    values = np.concatenate([np.asarray(curve, dtype=float) for curve in curves])
    if values.min() > 0 and values.max() / values.min() > LOG_RANGE:
        ax.set_yscale("log")


def _legend(figure: Figure, axes: np.ndarray, ncols: int) -> None:
    """Explain the lines of all panels once, in the order of the panel that has most."""
    found = sorted((ax.get_legend_handles_labels() for ax in axes.flat), key=lambda pair: -len(pair[1]))
    by_text = {text: handle for handles, texts in found for handle, text in zip(handles, texts, strict=True)}
    figure.legend(by_text.values(), by_text.keys(), loc="outside lower center", ncols=ncols, handlelength=3)


def _scores(m: Material, run: ShownRun, column: str) -> np.ndarray:
    """Return one score (n_test,) in the order of the test rows."""
    if column not in run.scores.columns:
        raise DataError(f"figure roc: {run.name!r} has no score {column!r}; it has {list(run.scores.columns)}")
    return run.scores.set_index("sample_id").loc[m.test.obs["sample_id"], column].to_numpy()

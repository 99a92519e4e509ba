"""Loss curves."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from aeflow.errors import DataError
from aeflow.plots.style import GREY, PALETTE, new_figure, put_title, styled

COLUMNS = ("epoch", "train_reconstruction", "train_penalty", "val_reconstruction", "val_penalty", "val_loss")
PARTS = {
    "reconstruction": "Reconstruction",
    "penalty": "Penalty, before its weight",
    "loss": "Loss that picks the epoch",
}
LOG_RANGE = 20  # a largest loss of more than this many times the smallest calls for a logarithmic axis


@styled
def training_curve(
    history: pd.DataFrame,
    *,
    origin: str,
    title: str = "Training",
    best_epoch: int | None = None,
    loss_unit: str = "nats or squared units",
) -> Figure:
    """Return train and validation losses per epoch, each part in its panel, the kept epoch marked.

    history : columns as in history.parquet, one row per epoch; a closed form has a single row, drawn as points.
    best_epoch : the epoch whose weights were kept; by default that of the smallest val_loss.
    """
    missing = [column for column in COLUMNS if column not in history.columns]
    if missing or history.empty:
        raise DataError(f"history: {f'no column {missing[0]!r}' if missing else 'no rows'}")
    parts = ["reconstruction", "penalty", "loss"]
    if not history[["train_penalty", "val_penalty"]].to_numpy().any():
        parts = ["reconstruction"]  # no penalty: the loss is the reconstruction
    if best_epoch is None:
        best_epoch = int(history.loc[history["val_loss"].idxmin(), "epoch"])
    figure, axes = new_figure(max(4.8, 3.6 * len(parts)), 3.4, 1, len(parts))
    for ax, part in zip(axes[0], parts, strict=True):
        _panel(ax, history, part, best_epoch)
    axes[0][0].set_ylabel(f"mean per observation\n[{loss_unit}]")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    put_title(figure, title, origin)
    return figure


def _panel(ax, history: pd.DataFrame, part: str, best_epoch: int) -> None:
    marker = "o" if len(history) < 3 else None
    drawn = []
    for split, colour, style in (("train", PALETTE[0], "-"), ("val", PALETTE[1], "--")):
        if f"{split}_{part}" in history.columns:
            values = history[f"{split}_{part}"]
            drawn.append(values)
            ax.plot(history["epoch"], values, style, color=colour, marker=marker, label=_NAMES[split])
    kept = "closed form: no epochs" if best_epoch == 0 else f"epoch kept: {best_epoch}"
    ax.axvline(best_epoch, color=GREY, linewidth=1, linestyle=":", label=kept)
    low = min(v.min() for v in drawn)
    high = max(v.max() for v in drawn)
    if low > 0 and high / low > LOG_RANGE:
        ax.set_yscale("log")
    if len(history) == 1:
        ax.set_xticks(history["epoch"])
    else:
        ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="epoch", title=PARTS[part])


_NAMES = {"train": "training rows", "val": "validation rows"}

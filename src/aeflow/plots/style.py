"""What all figures share: canvas, colours, titles, units and how they are written."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from aeflow.errors import DataError
from aeflow.files import atomic_path

# Okabe & Ito (2008), told apart by colour-blind readers; yellow is left out: too pale on white
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # the second mark of a group, once colours repeat
GREY = "#7F7F7F"
DPI = 150
UNITS = {
    "counts": "counts",
    "tpm": "TPM",
    "fpkm": "FPKM",
    "log2_tpm1": "log2(TPM + 1)",
    "log2_fpkm1": "log2(FPKM + 1)",
    "log2_counts1": "log2(counts + 1)",
    "intensity": "intensity, 0 to 1",
    "standardised": "standard deviations of training rows",
}
RC = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same picture on every machine
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
}

styled = matplotlib.rc_context(RC)  # decorator of whatever draws


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **subplots: Any) -> tuple[Figure, Any]:
    """Return a figure of `width` x `height` inches and its axes (rows, columns), outside pyplot's global state."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **subplots)


def put_title(figure: Figure, title: str, origin: str) -> None:
    """Set the title over all panels; simulated data are named so."""
    if origin not in ("real", "simulated"):
        raise DataError(f"figure {title!r}: origin must be 'real' or 'simulated', found {origin!r}")
    text = f"{title} (simulated)" if origin == "simulated" else title
    per_line = int(figure.get_figwidth() * 9.5)  # characters of this font an inch holds, with a margin
    figure.suptitle(textwrap.fill(text, per_line), fontsize=11, fontweight="bold")


def unit_text(unit: str) -> str:
    """Return a unit of the tables as a reader expects it on an axis; other text as it is."""
    return UNITS.get(unit, unit)


def group_styles(groups: list[str]) -> dict[str, tuple[str, str]]:
    """Return {group: (colour, marker)}, all pairs distinct up to 49 groups."""
    n = len(PALETTE)
    return {group: (PALETTE[i % n], MARKERS[(i // n) % len(MARKERS)]) for i, group in enumerate(groups)}


@styled
def save(figure: Figure, path: str | Path) -> None:
    """Write a PNG at 150 dpi, atomically; the same figure gives the same bytes (no date, no version in it)."""
    with atomic_path(path) as tmp:
        figure.canvas.print_png(tmp, metadata={"Software": None})  # savefig would draw twice, first to lay out

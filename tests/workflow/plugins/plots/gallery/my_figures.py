"""Figures of single variables."""

from __future__ import annotations

from matplotlib.figure import Figure

from aeflow.plots.gallery.declaration import gallery_figure
from aeflow.plots.gallery.material import Material
from aeflow.plots.style import new_figure, put_title


@gallery_figure(
    observations="expression",
    roles={"tied": "MyAE", "other": "any"},
    scores=True,
    caption="Largest error of a variable in each test row, of one model against the other's.",
)
def largest_errors(m: Material) -> Figure:
    """Return the largest errors of test rows of two models."""
    figure, axes = new_figure(4, 4)
    tied, other = (m.runs[role].scores.set_index("sample_id") for role in ("tied", "other"))
    axes[0][0].scatter(tied["my_scores/largest_error"], other["my_scores/largest_error"].loc[tied.index], s=5)
    axes[0][0].set_xlabel(m.runs["tied"].name)
    axes[0][0].set_ylabel(m.runs["other"].name)
    put_title(figure, m.title("largest errors"), m.info["origin"])
    return figure

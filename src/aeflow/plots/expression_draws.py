"""Generated expression beside held-out expression."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from aeflow.errors import DataError
from aeflow.plots.components import two_components
from aeflow.plots.style import GREY, PALETTE, new_figure, put_title, styled, unit_text


@styled
def expression_draws(
    real: np.ndarray, generated: np.ndarray, unit: str, *, origin: str, title: str = "Generated expression"
) -> Figure:
    """Return three panels: mean and standard deviation of each gene, and both sets on the real rows' components.

    real (n_obs, n_vars) and generated (n_draws, n_vars) are in `unit`; the components are those of `real` alone.
    """
    if real.shape[1] != generated.shape[1]:
        raise DataError(f"expression_draws: {real.shape[1]} genes are real, {generated.shape[1]} generated")
    figure, axes = new_figure(11, 3.9, 1, 3)
    for ax, name, function in zip(axes[0], ("Mean", "Standard deviation"), (np.mean, np.std), strict=False):
        _against(ax, name, function(real, axis=0), function(generated, axis=0), unit_text(unit))
    _projection(axes[0][2], real, generated)
    put_title(figure, title, origin)
    return figure


def _against(ax, name: str, real: np.ndarray, generated: np.ndarray, unit: str) -> None:
    r = np.corrcoef(real, generated)[0, 1] if real.std() and generated.std() else np.nan
    ax.scatter(real, generated, s=4, alpha=0.35, color=PALETTE[0], linewidths=0, rasterized=True)
    low = min(real.min(), generated.min())
    high = max(real.max(), generated.max())
    ax.plot([low, high], [low, high], color=GREY, linewidth=1, linestyle=":")
    text = f"r = {r:.3f}" if np.isfinite(r) else "r undefined"
    ax.set(xlabel=f"held-out [{unit}]", ylabel=f"generated [{unit}]", title=f"{name} of each gene, {text}")
    margin = 0.05 * (high - low)
    ax.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin))
    ax.set_box_aspect(1)


def _projection(ax, real: np.ndarray, generated: np.ndarray) -> None:
    components = two_components(real)
    for name, X, colour, marker in (("held-out", real, GREY, "o"), ("generated", generated, PALETTE[4], "^")):
        z = components.scores(X)
        ax.scatter(*z.T, s=12, alpha=0.5, color=colour, marker=marker, linewidths=0, label=f"{name} (n = {len(X)})")
    share = components.percent
    ax.set(title="On components of held-out rows")
    ax.set(xlabel=f"component 1 ({share[0]:.0f} % of variance)", ylabel=f"component 2 ({share[1]:.0f} %)")
    ax.set_box_aspect(1)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)

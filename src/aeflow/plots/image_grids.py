"""Image grids: generated images, and originals above their reconstructions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aeflow.errors import DataError
from aeflow.plots.style import new_figure, put_title, styled

GAP = 2  # pixels between images


@styled
def image_grid(X: np.ndarray, rows: int, columns: int, *, origin: str, title: str = "Generated images") -> Figure:
    """Return the first rows x columns images of X (n, n_vars), square, intensity 0 (black) to 1 (white)."""
    images = square(X[: rows * columns], "image_grid")
    figure, axes = new_figure(0.55 * columns + 0.3, 0.55 * rows + 0.6)
    show(axes[0][0], tile(images, rows, columns))
    put_title(figure, title, origin)
    return figure


@styled
def reconstruction_grid(
    original: np.ndarray, reconstructed: Mapping[str, np.ndarray], *, origin: str, title: str = "Reconstructions"
) -> Figure:
    """Return originals (n, n_vars) in the top row and each model's x_hat (n, n_vars) below, with its error on them."""
    parts = [original]
    names = ["original"]
    for name, x_hat in reconstructed.items():
        if x_hat.shape != original.shape:
            raise DataError(f"reconstruction_grid: {name!r} has shape {x_hat.shape}, the original {original.shape}")
        parts.append(x_hat)
        names.append(f"{name}\nMSE {float(np.mean((x_hat - original) ** 2)):.4f}")
    images = square(np.concatenate(parts), "reconstruction_grid")
    n, side = len(original), images.shape[1]
    figure, axes = new_figure(0.6 * n + 1.3, 0.6 * len(parts) + 0.6)
    ax = axes[0][0]
    show(ax, tile(images, len(parts), n))
    ax.set_yticks([GAP + side / 2 - 0.5 + i * (side + GAP) for i in range(len(parts))], names)
    put_title(figure, title, origin)
    return figure


def labelled_grid(
    ax, X: np.ndarray, *, rows: Sequence[str], columns: Sequence[str] = (), n_columns: int | None = None
) -> None:
    """Draw images X (n_rows * n_columns, n_vars), row by row, intensity 0 (black) to 1 (white).

    rows, columns : labels at the left and above; `n_columns` where columns have none.
    """
    n_columns = n_columns or len(columns)
    if len(X) != len(rows) * n_columns:
        raise DataError(f"labelled_grid: {len(X)} images, but {len(rows)} rows of {n_columns}")
    images = square(X, "labelled_grid")
    side = images.shape[1]
    show(ax, tile(images, len(rows), n_columns))
    middle = lambda n: [GAP + side / 2 - 0.5 + i * (side + GAP) for i in range(n)]  # noqa: E731
    if any(rows):
        ax.set_yticks(middle(len(rows)), rows)
    if columns:
        ax.set_xticks(middle(n_columns), columns)
        ax.xaxis.tick_top()
    ax.tick_params(length=0)


def square(X: np.ndarray, name: str) -> np.ndarray:
    """Return images (n, side, side) of X (n, side * side)."""
    side = math.isqrt(X.shape[1])
    if side * side != X.shape[1]:
        raise DataError(f"{name}: {X.shape[1]} variables make no square image")
    return X.reshape(len(X), side, side)


def tile(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return one picture of `images` (n, side, side), row by row, on white ground; places left over stay white."""
    side = images.shape[1]
    picture = np.ones((rows * (side + GAP) + GAP, columns * (side + GAP) + GAP))
    for index, image in enumerate(images):
        top, left = (GAP + position * (side + GAP) for position in divmod(index, columns))
        picture[top : top + side, left : left + side] = image
    return picture


def show(ax, picture: np.ndarray) -> None:
    """Draw a picture of intensities, 0 black and 1 white, without axes."""
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def first_of_each(labels: pd.Series) -> np.ndarray:
    """Return the index of the first row of every label, in the order of the labels."""
    return labels.reset_index(drop=True).drop_duplicates().sort_values().index.to_numpy()

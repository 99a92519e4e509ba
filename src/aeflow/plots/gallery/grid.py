"""Pictures in labelled rows and columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aeflow.errors import DataError
from aeflow.plots.images import GAP, show, square, tile


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

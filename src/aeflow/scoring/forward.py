"""Models applied to many rows, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from aeflow.models.base import AbstractAutoencoder, Batch
from aeflow.scoring.space import kept

CHUNK = 2048  # rows per forward pass
MAX_REFERENCE = 10_000  # most training rows in fits and neighbour searches on latents; bounds time on large views


def chunks(rows: Batch) -> list[Batch]:
    """Return consecutive parts of `rows`, no row left out; they share its generator."""
    x, generator, c = rows
    return [
        Batch(x[i : i + CHUNK], generator, None if c is None else c[i : i + CHUNK]) for i in range(0, len(x), CHUNK)
    ]


def in_chunks(function: Callable[[Batch], Tensor], rows: Batch) -> Tensor:
    """Return function(batch) over consecutive rows, concatenated; no row is left out."""
    with torch.no_grad():
        return torch.cat([function(batch) for batch in chunks(rows)])


def encode_all(model: AbstractAutoencoder, rows: Batch) -> np.ndarray:
    """Return latents (n_obs, n_latent) float32."""
    return in_chunks(model.encode, rows).cpu().numpy()


def reconstruct_all(model: AbstractAutoencoder, rows: Batch) -> Tensor:
    """Return x_hat (n_obs, n_vars), in the units of x."""
    return in_chunks(lambda batch: model.decode(model.encode(batch), batch), rows)


def some_rows(rows: Batch, most: int, seed: int) -> Batch:
    """Return at most `most` rows of a batch."""
    if len(rows.x) <= most:
        return rows
    index = torch.from_numpy(kept(len(rows.x), most, seed)).to(rows.x.device)
    return rows._replace(x=rows.x[index], covariates=None if rows.covariates is None else rows.covariates[index])


def check_finite(what: str, values: np.ndarray, names: Sequence[str] | None = None) -> None:
    """Raise FloatingPointError if a row of values (n_obs,) or (n_obs, k) is not finite; names (n_obs,) of the rows."""
    finite = np.isfinite(values).reshape(len(values), -1).all(1)
    if not finite.all():
        first = int(np.argmin(finite))
        row = f"row {first}" if names is None else f"sample {names[first]!r}"
        raise FloatingPointError(f"{what} is not finite for {(~finite).sum()} of {len(finite)} rows, first for {row}")

"""Deviation: how far an observation lies from its reconstruction, in its own space, in the latents, on the way there.

squared_error   ||x - x_hat||^2,  x_hat = D(E(x))
latent_cycle    ||E(x) - E(x_hat)||^2
sap             sum_i ||h_i(x) - h_i(x_hat)||^2,  h_0 = x, h_i the activations of encoder block i
nap             ||(d(x) - m) V S^-1||^2,  d(x) = (h_0(x) - h_0(x_hat), h_1(x) - h_1(x_hat), ...)

m is the mean and U S V^T the singular value decomposition of d - m over training rows.
Kim et al. (2020), RaPP: novelty detection with reconstruction along projection pathway, ICLR, section 3, eqs of
s_SAP and s_NAP. Differs from the paper: of V the leading directions alone are kept, one for `ROWS_PER_DIRECTION`
training rows. With as many directions as rows every training row has the same score, and noise is what is whitened.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from aeflow.models.base import AbstractAutoencoder, AbstractLayered, Batch
from aeflow.scoring.family import Reference, ScoreFamily
from aeflow.scoring.forward import CHUNK, MAX_REFERENCE, check_finite, chunks, in_chunks, some_rows

ROWS_PER_DIRECTION = 5
MAX_WIDTH = 2500  # of a matrix whose eigenvectors are taken: seconds on one core
ROUNDING = 1e-10  # a latent cycle below this share of the latents' variance is float32 rounding


class Deviation(ScoreFamily):
    """Deviation scores of one model."""

    def __init__(self, reference: Reference):
        super().__init__(reference)
        model = reference.model
        self.model = model
        self.layered = isinstance(model, AbstractLayered) and bool(model.stages())
        with torch.no_grad():
            # a linear projection, as PCA is, maps its reconstruction to the same latents: there is nothing to score
            some = some_rows(reference.rows, CHUNK, reference.seed)
            z = model.encode(some)
            self.cycles = bool(self._cycle(some).mean() > ROUNDING * z.double().var(0, correction=0).sum())
        if self.layered:
            self.fit_whitening(reference.rows, reference.seed)

    def fit_whitening(self, reference: Batch, seed: int) -> None:
        """Set m (d,) and V S^-1 (d, k) from the training rows' pathway differences."""
        rows = some_rows(reference, MAX_REFERENCE, seed)
        width = self._differences(rows._replace(x=rows.x[:1], covariates=_first(rows.covariates))).shape[1]
        if width > MAX_WIDTH:  # then the Gram matrix of rows is decomposed, and its size is theirs
            rows = some_rows(rows, MAX_WIDTH, seed)
        d = in_chunks(self._differences, rows).double()
        check_finite("the reconstruction of the training rows", d.cpu().numpy())
        self.mean = d.mean(0)
        self.whitening = whitening(d - self.mean)

    def scores(self, rows: Batch, z: np.ndarray, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self.of_rows(rows)

    def of_rows(self, rows: Batch) -> dict[str, np.ndarray]:
        """Return deviation/... of every row, each (n_obs,) float64."""
        with torch.no_grad():
            parts = [self._of_batch(batch) for batch in chunks(rows)]
        return {f"deviation/{name}": torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}

    def _of_batch(self, batch: Batch) -> dict[str, Tensor]:
        model = self.model
        z = model.encode(batch)
        again = batch._replace(x=model.decode(z, batch))
        out = {"squared_error": (again.x - batch.x).double().square().sum(1)}
        if self.cycles or self.layered:
            z_again = model.encode(again)
        if self.cycles:
            out["latent_cycle"] = (z - z_again).double().square().sum(1)
        if self.layered:
            d = pathway(model, batch, z).double() - pathway(model, again, z_again).double()
            out["sap"] = d.square().sum(1)
            out["nap"] = ((d - self.mean) @ self.whitening).square().sum(1)
        return out

    def _cycle(self, batch: Batch) -> Tensor:
        z = self.model.encode(batch)
        again = batch._replace(x=self.model.decode(z, batch))
        return (z - self.model.encode(again)).double().square().sum(1)

    def _differences(self, batch: Batch) -> Tensor:
        z = self.model.encode(batch)
        again = batch._replace(x=self.model.decode(z, batch))
        return pathway(self.model, batch, z) - pathway(self.model, again, self.model.encode(again))


def pathway(model: AbstractAutoencoder, batch: Batch, z: Tensor) -> Tensor:
    """Return x and the activations of all encoder blocks, flattened, side by side (B, d); z : latents of the batch.

    The latents come last where no block gives them, as in models whose encoder ends in a distribution.
    """
    h, out = model.stage_input(batch), [batch.x]
    for block, _ in model.stages():
        h = block(h)
        out.append(h.flatten(1))
    if out[-1].shape != z.shape or not torch.equal(out[-1], z):
        out.append(z)
    return torch.cat(out, 1)


def whitening(centred: Tensor) -> Tensor:
    """Return V S^-1 (d, k) of the singular value decomposition U S V^T of `centred` (n, d), leading directions."""
    n, width = centred.shape
    k = max(1, min(n // ROWS_PER_DIRECTION, width))
    by_vars = width <= n  # the smaller of the two Gram matrices has the same singular values
    values, vectors = torch.linalg.eigh(centred.T @ centred if by_vars else centred @ centred.T)
    values = values.flip(0)[:k].clamp(min=0)
    vectors = vectors.flip(1)[:, :k]
    real = values > 1e-12 * values[0]  # a direction in which no training row differs has no scale
    values, vectors = values[real], vectors[:, real]
    return vectors / values.sqrt() if by_vars else centred.T @ vectors / values


def _first(covariates: Tensor | None) -> Tensor | None:
    return None if covariates is None else covariates[:1]

"""Deterministic autoencoder of any depth.

z = f(x),  x_hat = g(z),  loss = sum_j (x_j - x_hat_j)^2,  or the cross-entropy of x_j in [0, 1] under x_hat_j.

Hinton & Salakhutdinov (2006), Reducing the dimensionality of data with neural networks, Science 313.
Differs from the paper: trained end to end from Xavier weights, without layer-wise pretraining.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from aeflow.errors import DataError
from aeflow.layers import mlp
from aeflow.losses import bernoulli_nll, squared_error
from aeflow.models.base import AbstractAutoencoder, Batch, Losses


class AE(AbstractAutoencoder):
    """Mirror-shaped multilayer perceptron: n_vars -> n_hidden... -> n_latent -> ...n_hidden -> n_vars."""

    def __init__(
        self,
        n_vars: int,
        *,
        n_hidden: Sequence[int] = (256,),
        n_latent: int = 32,
        activation: str = "relu",
        dropout: float = 0.0,
        loss: str = "squared_error",
    ):
        super().__init__()
        if loss not in ("squared_error", "cross_entropy"):
            raise ValueError(f"ae: loss {loss!r} does not exist; known: squared_error, cross_entropy")
        self.n_latent, self.loss = n_latent, loss
        self.encoder = mlp([n_vars, *n_hidden, n_latent], activation, dropout=dropout)
        self.decoder = mlp([n_latent, *reversed(n_hidden), n_vars], activation, dropout=dropout)

    def check_support(self, x: Tensor) -> None:
        if self.loss == "cross_entropy" and (x.min() < 0 or x.max() > 1):
            raise DataError(f"ae: cross_entropy needs x in [0, 1], found [{x.min():g}, {x.max():g}]")

    def encode(self, batch: Batch) -> Tensor:
        return self.encoder(batch.x)  # (B, L)

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        out = self.decoder(z)  # (B, D)
        return torch.sigmoid(out) if self.loss == "cross_entropy" else out

    def losses(self, batch: Batch) -> Losses:
        out = self.decoder(self.encode(batch))
        reconstruction = bernoulli_nll(batch.x, out) if self.loss == "cross_entropy" else squared_error(batch.x, out)
        return Losses(reconstruction, torch.zeros_like(reconstruction))

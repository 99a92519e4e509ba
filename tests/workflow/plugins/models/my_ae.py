"""Linear autoencoder whose decoder is its encoder transposed.

z = W x,  x_hat = W^T z + b,  loss = sum_j (x_j - x_hat_j)^2
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aeflow.keywords import Size
from aeflow.models.base import AbstractAutoencoder, Batch, Losses
from aeflow.models.parts.losses import squared_error


class MyAE(AbstractAutoencoder):
    """Tied weights."""

    def __init__(self, n_vars: int, *, n_latent: Size = 32):
        super().__init__()
        self.n_latent = n_latent
        self.weight = nn.Parameter(torch.empty(n_latent, n_vars))
        self.bias = nn.Parameter(torch.zeros(n_vars))
        nn.init.xavier_uniform_(self.weight)

    def encode(self, batch: Batch) -> Tensor:
        return batch.x @ self.weight.T  # (B, L)

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        return z @ self.weight + self.bias  # (B, D)

    def losses(self, batch: Batch) -> Losses:
        error = squared_error(batch.x, self.decode(self.encode(batch), batch))
        return Losses(error, torch.zeros_like(error))

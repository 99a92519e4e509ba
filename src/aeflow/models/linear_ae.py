"""Linear autoencoder, trained by gradient: principal component analysis by back-propagation.

z = W1 (x - c),  x_hat = W2 z + c,  loss = sum_j (x_j - x_hat_j)^2 + l2 (||W1||^2 + ||W2||^2).

Without l2 every local minimum spans the first L principal directions (Baldi & Hornik 1989, Neural Networks 2). With
l2 > 0 the left singular vectors of W2 are those directions themselves: at the optimum W2 = V (I - l2 / lambda)^(1/2)
O, lambda the eigenvalues of the covariance (divided by n), O orthogonal (Kunin et al. 2019, arXiv:1901.08168, theorem
2, for the loss per observation). `tied` sets W1 = W2^T: the network of the lecture that computes PCA.
Differs from the papers: c is the training mean, held fixed as for PCA.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aeflow.keywords import Size, Weight
from aeflow.models.base import AbstractAutoencoder, AbstractExporting, AbstractLinear, AbstractPrepared, Batch, Losses
from aeflow.models.parts.losses import squared_error


class LinearAE(AbstractAutoencoder, AbstractExporting, AbstractLinear, AbstractPrepared):
    """n_vars -> n_latent -> n_vars without activations."""

    def __init__(self, n_vars: int, *, n_latent: Size = 32, l2: Weight = 0.0, tied: bool = False):
        super().__init__()
        self.n_latent, self.l2 = n_latent, l2
        self.register_buffer("mean", torch.zeros(n_vars))
        self.decoder = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_vars, n_latent)))  # W2
        self.encoder = None if tied else nn.Parameter(self.decoder.detach().T.clone())  # W1

    def prepare(self, x: Tensor, covariates: Tensor | None) -> None:
        self.mean.copy_(x.mean(0, dtype=torch.float64))

    def loadings(self) -> Tensor:
        return self.decoder.detach()

    def principal_directions(self) -> Tensor:
        """Return the left singular vectors of W2 (D, L), largest singular value first."""
        return torch.linalg.svd(self.loadings(), full_matrices=False).U

    def variable_exports(self) -> dict[str, Tensor]:
        return {"loadings": self.loadings()}

    def encode(self, batch: Batch) -> Tensor:
        weight = self.decoder.T if self.encoder is None else self.encoder
        return (batch.x - self.mean) @ weight.T  # (B, L)

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        return self.mean + z @ self.decoder.T  # (B, D)

    def losses(self, batch: Batch) -> Losses:
        error = squared_error(batch.x, self.decode(self.encode(batch), batch))
        if not self.l2:
            return Losses(error, torch.zeros_like(error))
        weight = self.decoder if self.encoder is None else self.encoder
        return Losses(error, self.l2 * (weight.square().sum() + self.decoder.square().sum()).expand_as(error))

"""Principal component analysis with the density of probabilistic PCA.

z = V^T (x - mean),  x_hat = mean + V z,  V the first L eigenvectors of the training covariance S.
p(x) = N(mean, W W^T + s2 I),  W = V (Lambda - s2 I)^(1/2),  s2 = mean of the D - L discarded eigenvalues.

Tipping & Bishop (1999), Probabilistic principal component analysis, J. R. Stat. Soc. B 61, eqs 7, 8.
Differs from the paper: S divides by n - 1; s2 is floored at 1e-6 of the mean variance, so that a latent space as wide
as the data still has a density.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aeflow.errors import DataError
from aeflow.keywords import Size
from aeflow.models.base import (
    AbstractAutoencoder,
    AbstractClosedForm,
    AbstractDensity,
    AbstractExporting,
    AbstractGenerative,
    AbstractLinear,
    Batch,
    Losses,
    standard_normal,
)
from aeflow.models.parts.layers import LOG_2PI
from aeflow.models.parts.losses import squared_error

ROUNDING = 1e-12  # of the largest eigenvalue: what float32 leaves of a direction in which rows do not differ


class PCA(
    AbstractAutoencoder, AbstractClosedForm, AbstractDensity, AbstractExporting, AbstractGenerative, AbstractLinear
):
    """Linear autoencoder at its global optimum (Baldi & Hornik 1989)."""

    outcome = "continuous"

    def __init__(self, n_vars: int, *, n_latent: Size = 32):
        super().__init__()
        self.n_latent = n_latent
        self.register_buffer("mean", torch.zeros(n_vars))
        self.register_buffer("components", torch.zeros(n_latent, n_vars))  # V^T
        self.register_buffer("eigenvalues", torch.ones(n_latent))  # Lambda, variances along V
        self.register_buffer("s2", torch.ones(()))

    def solve(self, x: Tensor) -> None:
        n_obs, n_vars = x.shape
        if n_obs < 2:
            raise DataError(f"pca: {n_obs} training rows have no principal component; 2 are needed at least")
        x = x.double()
        mean = x.mean(0)
        centred = x - mean
        # the smaller of the two Gram matrices has the same non-zero eigenvalues
        by_vars = n_vars <= n_obs
        gram = (centred.T @ centred if by_vars else centred @ centred.T) / (n_obs - 1)
        eigenvalues, vectors = torch.linalg.eigh(gram)
        # beyond the rank, eigenvalues are what rounding leaves, and their directions are not orthogonal
        eps = torch.finfo(x.dtype).eps
        of_sums = eigenvalues[-1] * max(ROUNDING, 10 * max(n_obs, n_vars) * eps)
        of_mean = n_vars * (10 * eps * mean.abs().max()) ** 2
        rank = int((eigenvalues > torch.maximum(of_sums, of_mean)).sum())
        if self.n_latent > rank:
            raise DataError(
                f"pca: n_latent {self.n_latent} exceeds the rank {rank} of {n_obs} training rows "
                f"({len(x.unique(dim=0))} of them different) x {n_vars} variables"
            )
        eigenvalues = eigenvalues.flip(0)[: self.n_latent]
        vectors = vectors.flip(1)[:, : self.n_latent]
        components = vectors.T if by_vars else (centred.T @ vectors).T
        components = components / components.norm(dim=1, keepdim=True).clamp(min=1e-300)
        # an eigenvector's sign is arbitrary: make the largest loading positive, so that runs agree
        largest = components.gather(1, components.abs().argmax(1, keepdim=True))
        components = components * largest.sign()
        total = gram.trace()
        discarded = (total - eigenvalues.sum()) / max(n_vars - self.n_latent, 1)
        self.s2.copy_(torch.maximum(discarded, 1e-6 * total / n_vars).clamp(min=1e-300))
        for buffer, value in ((self.mean, mean), (self.components, components), (self.eigenvalues, eigenvalues)):
            buffer.copy_(value)

    def loadings(self) -> Tensor:
        return self.components.T

    def variable_exports(self) -> dict[str, Tensor]:
        return {"loadings": self.loadings()}

    def encode(self, batch: Batch) -> Tensor:
        return (batch.x - self.mean) @ self.components.T  # (B, L)

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        return self.mean + z @ self.components  # (B, D)

    def losses(self, batch: Batch) -> Losses:
        reconstruction = squared_error(batch.x, self.decode(self.encode(batch), batch))
        return Losses(reconstruction, torch.zeros_like(reconstruction))

    def log_likelihood(self, batch: Batch, n_importance: int) -> Tensor:
        """Exact, so `n_importance` is not used."""
        centred = (batch.x - self.mean).double()
        z = centred @ self.components.T.double()
        variances = torch.maximum(self.eigenvalues, self.s2).double()  # of the model along V
        residual = (centred.square().sum(1) - z.square().sum(1)).clamp(min=0)
        s2, n_vars = self.s2.double(), centred.shape[1]
        mahalanobis = (z.square() / variances).sum(1) + residual / s2
        logdet = variances.log().sum() + (n_vars - self.n_latent) * s2.log()
        return (-0.5 * (n_vars * LOG_2PI + logdet + mahalanobis)).to(batch.x.dtype)

    def generate(
        self, n_draws: int, generator: torch.Generator, *, noise: bool, covariates: Tensor | None = None
    ) -> Tensor:
        scale = (self.eigenvalues - self.s2).clamp(min=0).sqrt()
        z = standard_normal((n_draws, self.n_latent), self.mean, generator) * scale
        x = self.mean + z @ self.components
        if noise:
            x = x + self.s2.sqrt() * standard_normal(tuple(x.shape), x, generator)
        return x

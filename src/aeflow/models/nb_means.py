"""Negative binomial around class means: the floor of every count model's likelihood.

x_j ~ NB(l rho_cj, theta_j),  l = sum_j x_j,  rho_c = shares of all training counts of class c,
theta_j by the method of moments, Var = mu + mu^2 / theta:  theta_j = sum mu^2 / sum ((x - mu)^2 - mu).

Robinson & Smyth (2008), Small-sample estimation of negative binomial dispersion, Biostatistics 9, 321, for the moments.
There are no latents to learn: z is the class.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aeflow.errors import DataError
from aeflow.keywords import Count
from aeflow.models.base import (
    AbstractAutoencoder,
    AbstractClosedForm,
    AbstractDensity,
    AbstractPrepared,
    Batch,
    Losses,
)
from aeflow.models.parts.counts import check_counts, count_nll

THETA_RANGE = (1e-3, 1e6)


class NBMeans(AbstractAutoencoder, AbstractClosedForm, AbstractDensity, AbstractPrepared):
    """Classes are the distinct rows of the covariates, such as tissue one-hot."""

    outcome = "counts"

    def __init__(self, n_vars: int, *, n_covariates: Count):
        super().__init__()
        self.n_latent = n_covariates
        self.register_buffer("shares", torch.full((n_covariates, n_vars), 1 / n_vars))  # by one-hot column
        self.register_buffer("theta", torch.ones(n_vars))

    def check_support(self, x: Tensor) -> None:
        check_counts("nb_means", x)

    def prepare(self, x: Tensor, covariates: Tensor | None) -> None:
        if covariates is None or not torch.equal(covariates.sum(1), torch.ones(len(x), device=x.device)):
            raise DataError("nb_means: condition_on must be one column of classes")
        totals = covariates.double().T @ x.double() + 0.5  # half a count: no gene is impossible in a class
        self.shares.copy_(totals / totals.sum(1, keepdim=True))
        mu = self.decode(covariates, Batch(x, None, covariates)).double()
        excess = ((x.double() - mu).square() - mu).sum(0).clamp(min=1e-12)
        self.theta.copy_((mu.square().sum(0) / excess).clamp(*THETA_RANGE))

    def solve(self, x: Tensor) -> None:
        """Nothing beyond `prepare`, which is given the covariates."""

    def encode(self, batch: Batch) -> Tensor:
        return batch.covariates  # (B, L)

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        return batch.x.sum(1, keepdim=True) * (z @ self.shares)  # (B, D)

    def losses(self, batch: Batch) -> Losses:
        nll = count_nll(batch.x, self.decode(self.encode(batch), batch), self.theta, None)
        return Losses(nll, torch.zeros_like(nll))

    def log_likelihood(self, batch: Batch, n_importance: int) -> Tensor:
        """Exact, so `n_importance` is not used."""
        return -self.losses(batch).reconstruction

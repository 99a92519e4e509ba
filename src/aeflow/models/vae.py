"""Variational autoencoder with a Bernoulli or Gaussian likelihood.

-ELBO(x) = E_{q(z|x)}[-log p(x|z)] + KL(q(z|x) || N(0, I)),  q(z|x) = N(mu(x), diag exp(logvar(x))).
log p(x) >= log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x),  z_k ~ q  (importance-weighted bound).

Kingma & Welling (2014), arXiv:1312.6114, eqs 3, 10; Burda et al. (2016), arXiv:1509.00519, eq 8.
Differs from the papers: a Gaussian likelihood has one learnt variance per variable, shared by all observations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aeflow.errors import DataError
from aeflow.layers import LOG_2PI, mlp
from aeflow.losses import bernoulli_nll, gaussian_nll, kl_standard_normal
from aeflow.models.base import AbstractAutoencoder, AbstractDensity, AbstractGenerative, Batch, Losses, standard_normal

LOGVAR_RANGE = (-10.0, 10.0)  # beyond it exp(logvar) under- or overflows float32 gradients


class VAE(AbstractAutoencoder, AbstractDensity, AbstractGenerative):
    """Reconstruction plus penalty is the negative evidence lower bound, with one posterior draw."""

    def __init__(
        self,
        n_vars: int,
        *,
        n_hidden: Sequence[int] = (256,),
        n_latent: int = 32,
        activation: str = "relu",
        likelihood: str = "bernoulli",
    ):
        super().__init__()
        if likelihood not in ("bernoulli", "gaussian"):
            raise ValueError(f"vae: likelihood {likelihood!r} does not exist; known: bernoulli, gaussian")
        self.n_latent, self.likelihood = n_latent, likelihood
        self.outcome = "binary" if likelihood == "bernoulli" else "continuous"
        self.trunk = mlp([n_vars, *n_hidden], activation, activate_last=True) if n_hidden else nn.Identity()
        self.posterior = mlp([([n_vars, *n_hidden])[-1], 2 * n_latent], activation)
        self.decoder = mlp([n_latent, *reversed(n_hidden), n_vars], activation)
        if likelihood == "gaussian":
            self.logvar = nn.Parameter(torch.zeros(n_vars))

    def check_support(self, x: Tensor) -> None:
        if self.likelihood == "bernoulli" and (x.min() < 0 or x.max() > 1):
            raise DataError(f"vae: a Bernoulli likelihood needs x in [0, 1], found [{x.min():g}, {x.max():g}]")

    def qz(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu, logvar of q(z given x), each (B, L)."""
        mu, logvar = self.posterior(self.trunk(x)).chunk(2, dim=1)
        return mu, logvar.clamp(*LOGVAR_RANGE)

    def nll(self, x: Tensor, z: Tensor) -> Tensor:
        """Return -log p(x given z) in nats (B,)."""
        out = self.decoder(z)
        if self.likelihood == "bernoulli":
            return bernoulli_nll(x, out)
        return gaussian_nll(x, out, self.logvar.clamp(*LOGVAR_RANGE))

    def encode(self, batch: Batch) -> Tensor:
        return self.qz(batch.x)[0]

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        out = self.decoder(z)
        return torch.sigmoid(out) if self.likelihood == "bernoulli" else out

    def losses(self, batch: Batch) -> Losses:
        mu, logvar = self.qz(batch.x)
        z = mu + (0.5 * logvar).exp() * standard_normal(tuple(mu.shape), mu, batch.generator)  # (B, L)
        return Losses(self.nll(batch.x, z), kl_standard_normal(mu, logvar))

    def log_likelihood(self, batch: Batch, n_importance: int) -> Tensor:
        mu, logvar = self.qz(batch.x)
        log_w = []
        for _ in range(n_importance):  # a loop, not a (K, B, D) tensor: memory stays that of one batch
            eps = standard_normal(tuple(mu.shape), mu, batch.generator)
            z = mu + (0.5 * logvar).exp() * eps
            log_pz = -0.5 * (LOG_2PI + z.square()).sum(1)
            log_qz = -0.5 * (LOG_2PI + logvar + eps.square()).sum(1)
            log_w.append(-self.nll(batch.x, z) + log_pz - log_qz)
        return torch.stack(log_w).logsumexp(0) - math.log(n_importance)  # (B,)

    def generate(self, n_draws: int, generator: torch.Generator, *, noise: bool) -> Tensor:
        like = next(self.parameters())
        out = self.decoder(standard_normal((n_draws, self.n_latent), like, generator))
        if self.likelihood == "bernoulli":
            p = torch.sigmoid(out)
            return torch.bernoulli(p, generator=generator) if noise else p
        sd = (0.5 * self.logvar.clamp(*LOGVAR_RANGE)).exp()
        return out + sd * standard_normal(tuple(out.shape), out, generator) if noise else out

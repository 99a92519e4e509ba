"""Conditional variational autoencoder: encoder and decoder are given classes or covariates c beside x and z.

-ELBO(x | c) = E_{q(z|x,c)}[-log p(x|z,c)] + KL(q(z|x,c) || N(0, I)).

Sohn et al. (2015), Learning structured output representation using deep conditional generative models, NeurIPS 28.
Differs from the paper: the prior p(z) does not depend on c, so that z is pushed to hold what c does not say.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from aeflow.keywords import Count, Probability, Size, Sizes
from aeflow.models.base import (
    AbstractAutoencoder,
    AbstractDensity,
    AbstractGenerative,
    AbstractLayered,
    AbstractPosterior,
    Batch,
    Losses,
    check_choice,
    standard_normal,
)
from aeflow.models.parts import likelihoods, networks
from aeflow.models.parts.layers import LOG_2PI, LOGVAR_RANGE, Activation
from aeflow.models.parts.likelihoods import Likelihood
from aeflow.models.parts.losses import check_unit_interval, gaussian_nll, kl_standard_normal
from aeflow.models.parts.networks import Network


class CVAE(AbstractAutoencoder, AbstractDensity, AbstractGenerative, AbstractLayered, AbstractPosterior):
    """c joins x before the first map of `mlp`, the last feature map of `conv`, and z before the decoder."""

    def __init__(
        self,
        n_vars: int,
        *,
        n_covariates: Count,
        n_hidden: Sizes = (256,),
        n_hidden_decoder: Sizes | None = None,
        n_latent: Size = 32,
        network: Network = "mlp",
        activation: Activation = "relu",
        bias: bool = True,
        dropout: Probability = 0.0,
        likelihood: Likelihood = "bernoulli",
    ):
        super().__init__()
        check_choice("cvae", "likelihood", likelihood, likelihoods.LIKELIHOODS)
        self.n_latent, self.likelihood, self.early = n_latent, likelihood, network == "mlp"
        self.outcome = "binary" if likelihood == "bernoulli" else "continuous"
        n_in = n_vars + n_covariates if self.early else n_vars
        self.mirrored = n_hidden_decoder is None
        back = list(reversed(n_hidden)) if n_hidden_decoder is None else n_hidden_decoder
        shared = {"network": network, "activation": activation, "bias": bias, "dropout": dropout}
        blocks, width = networks.trunk(n_in, n_hidden, **shared)
        self.trunk = nn.Sequential(*blocks)
        self.posterior = networks.head(width if self.early else width + n_covariates, 2 * n_latent, None, bias=bias)
        self.decoder = networks.decoder(n_latent + n_covariates, back, n_vars, **shared)
        self.logvar = nn.Parameter(torch.zeros(n_vars)) if likelihood == "gaussian" else None

    def check_support(self, x: Tensor) -> None:
        if self.likelihood == "bernoulli":
            check_unit_interval("cvae", x)

    def stages(self) -> list[tuple[nn.Module, nn.Module]]:
        # all but the posterior's
        return list(zip(self.trunk, reversed(self.decoder), strict=False)) if self.mirrored else []

    def stage_input(self, batch: Batch) -> Tensor:
        return torch.cat([batch.x, batch.covariates], 1) if self.early else batch.x

    def qz(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mu, logvar (B, L) of the posterior."""
        h = self.trunk(self.stage_input(batch)).flatten(1)
        mu, logvar = self.posterior(h if self.early else torch.cat([h, batch.covariates], 1)).chunk(2, dim=1)
        return mu, logvar.clamp(*LOGVAR_RANGE)

    def nll(self, x: Tensor, z: Tensor, covariates: Tensor) -> Tensor:
        """Return -log p(x|z,c) in nats (B,)."""
        return likelihoods.nll(self.likelihood, x, self.decoder(torch.cat([z, covariates], 1)), self.logvar)

    def latent_distribution(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.qz(batch)

    def encode(self, batch: Batch) -> Tensor:
        return self.qz(batch)[0]

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        return likelihoods.mean(self.likelihood, self.decoder(torch.cat([z, batch.covariates], 1)))

    def losses(self, batch: Batch) -> Losses:
        mu, logvar = self.qz(batch)
        z = mu + (0.5 * logvar).exp() * standard_normal(tuple(mu.shape), mu, batch.generator)  # (B, L)
        return Losses(self.nll(batch.x, z, batch.covariates), kl_standard_normal(mu, logvar))

    def log_likelihood(self, batch: Batch, n_importance: int) -> Tensor:
        mu, logvar = self.qz(batch)
        log_w = []
        for _ in range(n_importance):  # a loop, not a (K, B, D) tensor: memory stays that of one batch
            z = mu + (0.5 * logvar).exp() * standard_normal(tuple(mu.shape), mu, batch.generator)
            log_pz = -0.5 * (LOG_2PI + z.square()).sum(1)
            log_w.append(log_pz - self.nll(batch.x, z, batch.covariates) + gaussian_nll(z, mu, logvar))
        return torch.stack(log_w).logsumexp(0) - math.log(n_importance)  # (B,)

    def generate(
        self, n_draws: int, generator: torch.Generator, *, noise: bool, covariates: Tensor | None = None
    ) -> Tensor:
        z = standard_normal((n_draws, self.n_latent), next(self.parameters()), generator)
        out = self.decoder(torch.cat([z, covariates], 1))
        return likelihoods.draw(self.likelihood, out, self.logvar, generator, noise=noise)

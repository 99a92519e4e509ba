"""Variational autoencoder with a Bernoulli or Gaussian likelihood, by its evidence lower bound or a tighter one.

-ELBO(x) = E_{q(z|x)}[-log p(x|z)] + KL(q(z|x) || N(0, I)),  q(z|x) = N(mu(x), diag exp(logvar(x))).
log p(x) >= E log 1/K sum_k w_k,  w_k = p(x|z_k) p(z_k) / q(z_k|x),  z_k ~ q  (objective "iwae").

Kingma & Welling (2014), arXiv:1312.6114, eqs 3, 10; Burda et al. (2016), arXiv:1509.00519, eq 8; free bits: Kingma et
al. (2016), arXiv:1606.04934, eq 15; doubly reparameterised gradient: Tucker et al. (2019), arXiv:1810.04152, eq 8.
Differs from the papers: free bits hold per observation and latent, in training only; a learnt Gaussian variance is one
per variable, shared by all observations.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from aeflow.keywords import Positive, Probability, Size, Sizes, Weight
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
from aeflow.models.parts.losses import check_unit_interval, gaussian_nll, kl_standard_normal_parts
from aeflow.models.parts.networks import Network


class VAE(AbstractAutoencoder, AbstractDensity, AbstractGenerative, AbstractLayered, AbstractPosterior):
    """Reconstruction plus penalty is the negative bound; of "iwae" the bound is all reconstruction.

    variance : of the Gaussian likelihood, in squared units of x; None learns it. n_hidden_decoder : None mirrors.
    n_draws : posterior draws per observation, L of "elbo" or K of "iwae".
    binarise : draw x ~ Bernoulli(x) anew for every batch and every likelihood (dynamic binarisation).
    """

    def __init__(
        self,
        n_vars: int,
        *,
        n_hidden: Sizes = (256,),
        n_hidden_decoder: Sizes | None = None,
        n_latent: Size = 32,
        network: Network = "mlp",
        activation: Activation = "relu",
        bias: bool = True,
        dropout: Probability = 0.0,
        likelihood: Likelihood = "bernoulli",
        variance: Positive | None = None,
        objective: Literal["elbo", "iwae"] = "elbo",
        gradient: Literal["standard", "dreg"] = "standard",
        n_draws: Size = 1,
        free_bits: Weight = 0.0,
        binarise: bool = False,
    ):
        super().__init__()
        check_choice("vae", "likelihood", likelihood, likelihoods.LIKELIHOODS)
        check_choice("vae", "objective", objective, ("elbo", "iwae"))
        check_choice("vae", "gradient", gradient, ("standard", "dreg"))
        if (gradient == "dreg" and objective != "iwae") or (free_bits and objective != "elbo"):
            raise ValueError("vae: gradient 'dreg' belongs to objective 'iwae', free_bits to 'elbo'")
        if variance is not None and likelihood == "bernoulli":
            raise ValueError(f"vae: variance {variance} belongs to the Gaussian likelihood, found {likelihood!r}")
        if binarise and likelihood != "bernoulli":
            raise ValueError(f"vae: binarise needs the Bernoulli likelihood, found {likelihood!r}")
        self.n_latent, self.likelihood, self.objective, self.gradient = n_latent, likelihood, objective, gradient
        self.n_draws, self.free_bits, self.binarise = n_draws, free_bits, binarise
        self.outcome = "binary" if likelihood == "bernoulli" else "continuous"
        self.mirrored = n_hidden_decoder is None
        back = list(reversed(n_hidden)) if n_hidden_decoder is None else n_hidden_decoder
        shared = {"network": network, "activation": activation, "bias": bias, "dropout": dropout}
        blocks, width = networks.trunk(n_vars, n_hidden, **shared)
        self.trunk = nn.Sequential(*blocks)
        self.posterior = networks.head(width, 2 * n_latent, None, bias=bias)
        self.decoder = networks.decoder(n_latent, back, n_vars, **shared)
        fixed = None if likelihood == "bernoulli" or variance is None else torch.full((n_vars,), math.log(variance))
        if likelihood == "gaussian" and variance is None:
            self.logvar = nn.Parameter(torch.zeros(n_vars))
        else:
            self.register_buffer("logvar", fixed)

    def check_support(self, x: Tensor) -> None:
        if self.likelihood == "bernoulli":
            check_unit_interval("vae", x)

    def stages(self) -> list[tuple[nn.Module, nn.Module]]:
        return list(zip(self.trunk, reversed(self.decoder), strict=False)) if self.mirrored else []  # no posterior

    def qz(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu, logvar (B, L) of the posterior."""
        mu, logvar = self.posterior(self.trunk(x)).chunk(2, dim=1)
        return mu, logvar.clamp(*LOGVAR_RANGE)

    def nll(self, x: Tensor, z: Tensor) -> Tensor:
        """Return -log p(x|z) in nats (K, B) for x (B, D), z (K, B, L)."""
        out = self.decoder(z.flatten(0, 1)).unflatten(0, z.shape[:2])  # (K, B, D)
        return likelihoods.nll(self.likelihood, x, out, self.logvar)

    def log_weights(self, x: Tensor, qz: tuple[Tensor, Tensor], n_draws: int, generator, *, stop: bool = False):
        """Return log w_k (K, B) and z (K, B, L); `stop` keeps the gradient of q's own parameters out of log q."""
        mu, logvar = qz
        z = mu + (0.5 * logvar).exp() * standard_normal((n_draws, *mu.shape), mu, generator)
        if stop:
            mu = mu.detach()
            logvar = logvar.detach()
        log_pz = -0.5 * (LOG_2PI + z.square()).sum(-1)
        return log_pz - self.nll(x, z) + gaussian_nll(z, mu, logvar), z

    def latent_distribution(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.qz(batch.x)

    def encode(self, batch: Batch) -> Tensor:
        return self.qz(batch.x)[0]

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        return likelihoods.mean(self.likelihood, self.decoder(z))

    def losses(self, batch: Batch) -> Losses:
        x = torch.bernoulli(batch.x, generator=batch.generator) if self.binarise else batch.x
        if self.objective == "iwae":
            dreg = self.gradient == "dreg" and self.training
            bound = likelihoods.importance_bound(
                *self.log_weights(x, self.qz(x), self.n_draws, batch.generator, stop=dreg), dreg=dreg
            )
            return Losses(-bound, torch.zeros_like(bound))
        mu, logvar = self.qz(x)
        z = mu + (0.5 * logvar).exp() * standard_normal((self.n_draws, *mu.shape), mu, batch.generator)  # (K, B, L)
        kl = kl_standard_normal_parts(mu, logvar)
        if self.training and self.free_bits:
            kl = kl.clamp(min=self.free_bits)
        return Losses(self.nll(x, z).mean(0), kl.sum(1))

    def log_likelihood(self, batch: Batch, n_importance: int) -> Tensor:
        x = torch.bernoulli(batch.x, generator=batch.generator) if self.binarise else batch.x
        at_once = max(1, min(n_importance, 2_000_000 // x.numel()))  # bounds memory at a few times the batch's
        qz, parts = self.qz(x), []
        for start in range(0, n_importance, at_once):
            log_w, _ = self.log_weights(x, qz, min(at_once, n_importance - start), batch.generator)
            parts.append(log_w.logsumexp(0))
        return torch.stack(parts).logsumexp(0) - math.log(n_importance)  # (B,)

    def generate(
        self, n_draws: int, generator: torch.Generator, *, noise: bool, covariates: Tensor | None = None
    ) -> Tensor:
        z = standard_normal((n_draws, self.n_latent), next(self.parameters()), generator)
        return likelihoods.draw(self.likelihood, self.decoder(z), self.logvar, generator, noise=noise)

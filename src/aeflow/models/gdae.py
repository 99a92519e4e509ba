"""Generalised denoising autoencoder: a Markov chain whose steps corrupt and denoise, trained with walkback.

x~_t ~ C(x~ | x_t-1),  x_t ~ P(X | x~_t),  loss = (1 - p) sum_{t=1..T} -log P(X = x_0 | x~_t),  T ~ Geometric(1 - p).

Walkback trains on the corrupted states of a chain that walks away from x_0, so that spurious modes the chain would
fall into are pulled back to the data: Bengio et al. (2013), Generalized denoising auto-encoders as generative models,
arXiv:1305.6663, theorem 1 and algorithm 1, where p = 0.5. E[T] = 1 / (1 - p): the loss is that of an average pair.
Differs from the paper: C adds salt and pepper to binary states and Gaussian noise to continuous ones; P is Bernoulli
or Gaussian with one learnt variance per variable.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aeflow.keywords import Probability, Size, Weight
from aeflow.models.base import (
    AbstractAutoencoder,
    AbstractGenerative,
    AbstractMarkovChain,
    AbstractPrepared,
    Batch,
    Losses,
    check_choice,
    standard_normal,
)
from aeflow.models.parts.corruption import check_corruption, corrupt
from aeflow.models.parts.layers import Activation, new_activation
from aeflow.models.parts.likelihoods import LIKELIHOODS, Likelihood
from aeflow.models.parts.losses import bernoulli_nll, check_unit_interval, gaussian_nll


class GDAE(AbstractAutoencoder, AbstractGenerative, AbstractMarkovChain, AbstractPrepared):
    """One wide hidden layer, P(X | x~) read off it.

    walkback : p, the probability that a row's chain goes on after a step; 0 trains a plain denoising autoencoder.
    noise : share of values set to 0 or 1 (bernoulli), or standard deviation in units of x (gaussian).
    n_generate : steps of the chain before a draw is taken; it starts from the training mean.
    """

    def __init__(
        self,
        n_vars: int,
        *,
        n_latent: Size = 500,
        activation: Activation = "sigmoid",
        likelihood: Likelihood = "bernoulli",
        noise: Weight = 0.3,
        walkback: Probability = 0.5,
        n_generate: Size = 200,
    ):
        super().__init__()
        check_choice("gdae", "likelihood", likelihood, LIKELIHOODS)
        if not 0 <= walkback < 1:
            raise ValueError(f"gdae: walkback {walkback} is not a probability below 1: a chain would never end")
        self.n_latent, self.likelihood = n_latent, likelihood
        self.noise, self.walkback, self.n_generate = noise, walkback, n_generate
        self.corruption = "salt_and_pepper" if likelihood == "bernoulli" else "gaussian"
        check_corruption("gdae", self.corruption, noise)
        self.encoder = nn.Sequential(nn.Linear(n_vars, n_latent), new_activation(activation))
        self.decoder = nn.Linear(n_latent, n_vars)
        for layer in (self.encoder[0], self.decoder):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.logvar = nn.Parameter(torch.zeros(n_vars)) if likelihood == "gaussian" else None
        self.register_buffer("start", torch.zeros(n_vars))

    def prepare(self, x: Tensor, covariates: Tensor | None) -> None:
        self.start.copy_(x.mean(0, dtype=torch.float64))

    def check_support(self, x: Tensor) -> None:
        if self.likelihood == "bernoulli":
            check_unit_interval("gdae", x)

    def encode(self, batch: Batch) -> Tensor:
        return self.encoder(batch.x)  # (B, L)

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        return self.mean_of(self.decoder(z))

    def mean_of(self, out: Tensor) -> Tensor:
        """Return E[X | x~] of the decoder's output (B, D)."""
        return torch.sigmoid(out) if self.likelihood == "bernoulli" else out

    def draw(self, out: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return X ~ P(X | x~) of the decoder's output (B, D)."""
        if self.likelihood == "bernoulli":
            return torch.bernoulli(torch.sigmoid(out), generator=generator)
        return out + (0.5 * self.logvar).exp() * standard_normal(tuple(out.shape), out, generator)

    def nll(self, x: Tensor, out: Tensor) -> Tensor:
        """Return -log P(X = x | x~) in nats (B,) of the decoder's output (B, D)."""
        return bernoulli_nll(x, out) if self.likelihood == "bernoulli" else gaussian_nll(x, out, self.logvar)

    def losses(self, batch: Batch) -> Losses:
        target = state = batch.x
        if self.likelihood == "bernoulli":  # states of the chain are binary, so its first one is, too
            state = torch.bernoulli(state, generator=batch.generator)
        rows = torch.arange(len(target), device=target.device)  # whose chains go on
        total = torch.zeros(len(target), dtype=target.dtype, device=target.device)
        while len(rows):
            out = self.decoder(self.encoder(corrupt(state, self.corruption, self.noise, batch.generator)))
            total = total.index_add(0, rows, self.nll(target, out))
            if not self.walkback:
                break
            draws = torch.rand(len(rows), generator=batch.generator, device=target.device)
            on = (draws < self.walkback).nonzero()[:, 0]
            state = self.draw(out.detach().index_select(0, on), batch.generator)
            rows = rows.index_select(0, on)
            target = target.index_select(0, on)
        return Losses((1 - self.walkback) * total, torch.zeros_like(total))

    def step(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        out = self.decoder(self.encoder(corrupt(x, self.corruption, self.noise, generator)))
        return self.draw(out, generator), self.mean_of(out)

    def generate(
        self, n_draws: int, generator: torch.Generator, *, noise: bool, covariates: Tensor | None = None
    ) -> Tensor:
        mean = self.start.expand(n_draws, -1)
        x = torch.bernoulli(mean, generator=generator) if self.likelihood == "bernoulli" else mean
        for _ in range(self.n_generate):
            x, mean = self.step(x, generator)
        return x if noise else mean

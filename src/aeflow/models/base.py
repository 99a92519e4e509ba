"""The model contract: what training, scoring and generation may ask of an autoencoder."""

from __future__ import annotations

import abc
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Batch(NamedTuple):
    """What a model sees at once.

    x : (B, D) observations in the units of the dataset.
    generator : source of every random draw a model makes; None means torch's global one.
    """

    x: Tensor
    generator: torch.Generator | None = None


class Losses(NamedTuple):
    """Per observation, summed over variables or latents, in nats or squared units; `fit` weights and averages them."""

    reconstruction: Tensor  # (B,)
    penalty: Tensor  # (B,)


class AbstractAutoencoder(nn.Module, abc.ABC):
    """Maps observations (B, D) to latents (B, L) and back."""

    n_latent: int

    @abc.abstractmethod
    def encode(self, batch: Batch) -> Tensor:
        """Return latents (B, L); the posterior mean where the encoder is a distribution."""

    @abc.abstractmethod
    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        """Return x_hat (B, D) for latents (B, L), in the units of batch.x."""

    @abc.abstractmethod
    def losses(self, batch: Batch) -> Losses:
        """Return the loss parts of each observation."""

    def check_support(self, x: Tensor) -> None:
        """Raise DataError if `x` (n_obs, D) lies outside the model's support."""


class AbstractClosedForm(abc.ABC):
    """Solved rather than trained."""

    @abc.abstractmethod
    def solve(self, x: Tensor) -> None:
        """Set all parameters from training rows x (n_obs, D)."""


class AbstractDensity(abc.ABC):
    """Assigns a likelihood to observations.

    outcome : "continuous" (a density) or "binary" (a probability of 0 and 1); the two never compare.
    """

    outcome: str

    @abc.abstractmethod
    def log_likelihood(self, batch: Batch, n_importance: int) -> Tensor:
        """Return log p(x) in nats (B,): exact, or an importance-weighted lower bound with `n_importance` draws."""


class AbstractGenerative(abc.ABC):
    """Can draw new observations."""

    @abc.abstractmethod
    def generate(self, n_draws: int, generator: torch.Generator, *, noise: bool) -> Tensor:
        """Return x (n_draws, D): drawn from p(x), or if not `noise` the means E[x given z] of such draws."""


def standard_normal(shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return N(0, 1) draws on the device of `like` from `generator`."""
    return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)

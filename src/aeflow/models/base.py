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
    covariates : (B, C) what a conditional model is given beside x (classes one-hot); None for the others.
    """

    x: Tensor
    generator: torch.Generator | None = None
    covariates: Tensor | None = None


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


class AbstractPrepared(abc.ABC):
    """Takes constants from the training rows before its first step."""

    @abc.abstractmethod
    def prepare(self, x: Tensor, covariates: Tensor | None) -> None:
        """Set buffers from training rows x (n_obs, D), covariates (n_obs, C)."""


class AbstractLayered(abc.ABC):
    """Has hidden layers that can be trained one by one, and whose activations can be read."""

    @abc.abstractmethod
    def stages(self) -> list[tuple[nn.Module, nn.Module]]:
        """Return (encoder block, decoder block) pairs that undo each other, outermost first.

        Applied in turn to `stage_input`, the encoder blocks give the hidden activations of x.
        """

    def stage_input(self, batch: Batch) -> Tensor:
        """Return what the first encoder block takes (B, D or more)."""
        return batch.x


class AbstractDensity(abc.ABC):
    """Assigns a likelihood to observations.

    outcome : "continuous" (a density), "binary" or "counts" (probabilities); the three never compare.
    """

    outcome: str

    @abc.abstractmethod
    def log_likelihood(self, batch: Batch, n_importance: int) -> Tensor:
        """Return log p(x) in nats (B,): exact, or an importance-weighted lower bound with `n_importance` draws."""


class AbstractGenerative(abc.ABC):
    """Can draw new observations."""

    @abc.abstractmethod
    def generate(
        self, n_draws: int, generator: torch.Generator, *, noise: bool, covariates: Tensor | None = None
    ) -> Tensor:
        """Return x (n_draws, D): drawn from p(x), or if not `noise` the means E[x given z] of such draws.

        covariates : (n_draws, C) what each draw is given, for conditional models.
        """


class AbstractPosterior(abc.ABC):
    """Encodes an observation as a normal distribution over latents."""

    @abc.abstractmethod
    def latent_distribution(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance (B, L) of q(z | x)."""


class AbstractMarkovChain(abc.ABC):
    """Draws by a Markov chain on observations."""

    @abc.abstractmethod
    def step(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the next state of each chain (B, D) and its mean E[x given the corrupted last state] (B, D)."""


class AbstractLinear(abc.ABC):
    """Decodes by a linear map, so that its latents have loadings on the variables."""

    @abc.abstractmethod
    def loadings(self) -> Tensor:
        """Return (D, L): the change of x_hat with each latent."""


class AbstractExporting:
    """Says more of each observation, or of each variable, than latents and scores; a model defines either or both."""

    def exports(self, batch: Batch) -> dict[str, Tensor]:
        """Return named matrices, a row per observation: gene_set_activity (B, S), normalised_expression (B, D)."""
        return {}

    def variable_exports(self) -> dict[str, Tensor]:
        """Return named matrices, a row per variable: loadings (D, L), of linear models and embeddings of variables."""
        return {}


def standard_normal(shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return N(0, 1) draws on the device of `like` from `generator`."""
    return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)


def uniform(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return draws from [0, 1) in the shape and on the device of `like` from `generator`."""
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)


def check_choice(model: str, key: str, value: str, known: tuple[str, ...]) -> None:
    """Raise ValueError if a hyperparameter is none of its known values."""
    if value not in known:
        raise ValueError(f"{model}: {key} {value!r} does not exist; known: {', '.join(known)}")

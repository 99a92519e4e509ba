"""Interpretable variational autoencoder: embeddings of observations and of variables whose product is the data.

x_hat_ij = <h(z_i), g(v_j)> + b_j,  z_i ~ q(z | x_i),  v_j ~ q(v | profile of variable j over the training rows).
loss_i = -log p(x_i | z_i, v) + KL(q(z_i)) + 1/n sum_j KL(q(v_j)) + linearity * sum_j (x_ij - <mu_i, nu_j> - c_j)^2.

Choi, Li & Quon (2023), siVAE: interpretable deep generative models for single-cell transcriptomes, Genome Biology 24,
29. mu, nu are posterior means, and nu (D, L) are the loadings: what PCA's loadings are to its scores.
Differs from the paper: a variable's profile is rotated and cut to its `n_profile` leading coordinates (its loadings on
the training rows' principal axes), one Gaussian variance per variable is learnt, both encoders have the same widths.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aeflow.keywords import Size, Sizes, Weight
from aeflow.models.base import (
    AbstractAutoencoder,
    AbstractExporting,
    AbstractGenerative,
    AbstractLinear,
    AbstractPosterior,
    AbstractPrepared,
    Batch,
    Losses,
    standard_normal,
)
from aeflow.models.parts import networks
from aeflow.models.parts.layers import LOGVAR_RANGE, Activation
from aeflow.models.parts.losses import gaussian_nll, kl_standard_normal, squared_error

START_LOGVAR = -4.0  # embeddings start nearly certain: noise in both factors of <h, g> would drive the two to zero


class SiVAE(
    AbstractAutoencoder, AbstractExporting, AbstractGenerative, AbstractLinear, AbstractPosterior, AbstractPrepared
):
    """Two encoder-decoders, one over observations and one over variables; linear where n_hidden is empty."""

    def __init__(
        self,
        n_vars: int,
        *,
        n_hidden: Sizes = (256,),
        n_latent: Size = 32,
        n_profile: Size = 128,
        activation: Activation = "relu",
        linearity: Weight = 0.05,
    ):
        super().__init__()
        self.n_latent, self.linearity = n_latent, linearity
        shared = {"network": "mlp", "activation": activation}
        back = list(reversed(n_hidden))
        self.encoder = networks.encoder(n_vars, n_hidden, 2 * n_latent, **shared)
        self.variable_encoder = networks.encoder(n_profile, n_hidden, 2 * n_latent, **shared)
        self.decoder = nn.Sequential(*networks.trunk(n_latent, back, **shared)[0])
        # without hidden layers x_hat is <z, v> itself, so that nu are its loadings and not a linear map of them
        self.variable_decoder = networks.decoder(n_latent, back, back[-1], **shared) if back else nn.Sequential()
        for encoder in (self.encoder, self.variable_encoder):
            nn.init.constant_(encoder[-1][-1].bias[n_latent:], START_LOGVAR)
        self.bias = nn.Parameter(torch.zeros(n_vars))
        self.linear_bias = nn.Parameter(torch.zeros(n_vars))
        self.logvar = nn.Parameter(torch.zeros(n_vars))
        self.register_buffer("profile", torch.zeros(n_vars, n_profile))
        self.register_buffer("n_obs", torch.ones(()))

    def prepare(self, x: Tensor, covariates: Tensor | None) -> None:
        centred = x.double() - x.mean(0, dtype=torch.float64)
        n_profile = self.profile.shape[1]
        by_vars = x.shape[1] <= x.shape[0]  # the smaller Gram matrix
        values, vectors = torch.linalg.eigh(centred.T @ centred if by_vars else centred @ centred.T)
        kept = values.flip(0)[:n_profile].clamp(min=0)
        leading = vectors.flip(1)[:, :n_profile]
        rotated = leading * kept.sqrt() if by_vars else centred.T @ leading  # (D, n_profile or less)
        signs = rotated.gather(0, rotated.abs().argmax(0, keepdim=True)).sign()  # an axis has no sign of its own
        rotated = rotated * signs / kept[:1].sqrt().clamp(min=1e-12) * len(rotated) ** 0.5
        self.profile.zero_()[:, : rotated.shape[1]] = rotated
        self.n_obs.fill_(len(x))
        with torch.no_grad():
            self.bias.copy_(x.mean(0))
            self.linear_bias.copy_(x.mean(0))

    def posterior(self, encoder: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of an embedding."""
        mu, logvar = encoder(x).chunk(2, dim=1)
        return mu, logvar.clamp(*LOGVAR_RANGE)

    def loadings(self) -> Tensor:
        with torch.no_grad():
            return self.posterior(self.variable_encoder, self.profile)[0]  # nu (D, L)

    def compose(self, z: Tensor, v: Tensor) -> Tensor:
        """Return x_hat (B, D) of embeddings z (B, L), v (D, L)."""
        return self.decoder(z) @ self.variable_decoder(v).T + self.bias

    def latent_distribution(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.posterior(self.encoder, batch.x)

    def encode(self, batch: Batch) -> Tensor:
        return self.posterior(self.encoder, batch.x)[0]

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        return self.compose(z, self.posterior(self.variable_encoder, self.profile)[0])

    def losses(self, batch: Batch) -> Losses:
        mu, logvar = self.posterior(self.encoder, batch.x)
        nu, logvar_v = self.posterior(self.variable_encoder, self.profile)
        z = mu + (0.5 * logvar).exp() * standard_normal(tuple(mu.shape), mu, batch.generator)
        v = nu + (0.5 * logvar_v).exp() * standard_normal(tuple(nu.shape), nu, batch.generator)
        nll = gaussian_nll(batch.x, self.compose(z, v), self.logvar.clamp(*LOGVAR_RANGE))
        penalty = kl_standard_normal(mu, logvar) + kl_standard_normal(nu, logvar_v).sum() / self.n_obs
        return Losses(nll, penalty + self.linearity * squared_error(batch.x, mu @ nu.T + self.linear_bias))

    def variable_exports(self) -> dict[str, Tensor]:
        return {"loadings": self.loadings()}

    def generate(
        self, n_draws: int, generator: torch.Generator, *, noise: bool, covariates: Tensor | None = None
    ) -> Tensor:
        x = self.decode(standard_normal((n_draws, self.n_latent), self.bias, generator), None)
        sd = (0.5 * self.logvar.clamp(*LOGVAR_RANGE)).exp()
        return x + sd * standard_normal(tuple(x.shape), x, generator) if noise else x

"""Variational autoencoder for counts: scVI's model, for bulk and single cells.

z ~ N(0, I),  l = library size,  rho = softmax(f(z, s)),  x_j ~ Poisson(l rho_j), NB(.., theta_j), ZINB(.., pi_j).
-ELBO = E_q[-log p(x|z,l,s)] + KL(q(z|x,s) || N(0, I)) [+ KL(q(log l|x) || N(m, v)) where l is latent].

Lopez et al. (2018), Deep generative modeling for single-cell transcriptomics, Nature Methods 15, 1053; s are batch
covariates, in the decoder and, with `encode_covariates`, in the encoder.
Differs from the paper: l is the observed sum unless `library: latent` (aeflow.models.parts.library_size); the encoder
sees log1p(x) standardised by the training rows, in the place of scVI's batch norm.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from aeflow.keywords import Count, Probability, Size, Sizes
from aeflow.models.base import (
    AbstractAutoencoder,
    AbstractDensity,
    AbstractExporting,
    AbstractGenerative,
    AbstractPosterior,
    AbstractPrepared,
    Batch,
    Losses,
    check_choice,
    standard_normal,
)
from aeflow.models.parts import networks
from aeflow.models.parts.counts import StandardisedLog, check_counts, count_mean, count_nll, draw_counts
from aeflow.models.parts.layers import LOG_2PI, LOGVAR_RANGE, Activation
from aeflow.models.parts.library_size import LibrarySize
from aeflow.models.parts.losses import gaussian_nll, kl_standard_normal


class ZINBVAE(
    AbstractAutoencoder, AbstractDensity, AbstractExporting, AbstractGenerative, AbstractPosterior, AbstractPrepared
):
    """Takes counts; n_covariates is 0 for a model without batches."""

    outcome = "counts"

    def __init__(
        self,
        n_vars: int,
        *,
        n_covariates: Count = 0,
        n_hidden: Sizes = (128,),
        n_latent: Size = 10,
        activation: Activation = "relu",
        likelihood: Literal["poisson", "nb", "zinb"] = "zinb",
        library: Literal["observed", "latent"] = "observed",
        encode_covariates: bool = False,
        dropout: Probability = 0.0,
    ):
        super().__init__()
        check_choice("zinb_vae", "likelihood", likelihood, ("poisson", "nb", "zinb"))
        check_choice("zinb_vae", "library", library, ("observed", "latent"))
        self.n_latent, self.encode_covariates = n_latent, encode_covariates
        n_in = n_vars + n_covariates * encode_covariates
        shared = {"network": "mlp", "activation": activation, "dropout": dropout}
        blocks, width = networks.trunk(n_in, n_hidden, **shared)
        self.trunk = nn.Sequential(*blocks)
        self.posterior = networks.head(width, 2 * n_latent, None)
        latent = library == "latent"
        size = [*networks.trunk(n_in, n_hidden, **shared)[0], networks.head(width, 2, None)] if latent else []
        self.library = LibrarySize(nn.Sequential(*size) if size else None)
        blocks, width = networks.trunk(n_latent + n_covariates, list(reversed(n_hidden)), **shared)
        self.decoder = nn.Sequential(*blocks)
        self.share = networks.head(width, n_vars, None)
        self.zero = networks.head(width, n_vars, None) if likelihood == "zinb" else None
        self.log_theta = None if likelihood == "poisson" else nn.Parameter(torch.zeros(n_vars))
        self.register_buffer("reference", torch.zeros(n_covariates))  # the batch corrected expression is decoded to
        self.standardised = StandardisedLog(n_vars)

    def check_support(self, x: Tensor) -> None:
        check_counts("zinb_vae", x)

    def prepare(self, x: Tensor, covariates: Tensor | None) -> None:
        self.library.fit(x)
        self.standardised.fit(x)
        with torch.no_grad():  # start from the training shares: without it the first epochs only find the bias
            self.share[-1].bias.copy_((x.sum(0, dtype=torch.float64) + 1).log())
        if covariates is not None:
            rows, n = covariates.unique(dim=0, return_counts=True)
            self.reference.copy_(rows[n.argmax()])

    def given(self, h: Tensor, covariates: Tensor | None) -> Tensor:
        return torch.cat([h, covariates], 1) if len(self.reference) else h

    def posteriors(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return mu, logvar of z (B, L) and of log l (B, 1)."""
        x = self.standardised(batch.x)
        x = self.given(x, batch.covariates) if self.encode_covariates else x
        mu, logvar = self.posterior(self.trunk(x)).chunk(2, dim=1)
        mu_l, logvar_l = self.library.posterior(batch.x, x)
        return mu, logvar.clamp(*LOGVAR_RANGE), mu_l, logvar_l.clamp(*LOGVAR_RANGE)

    def px(self, z: Tensor, log_l: Tensor, covariates: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return mean mu (B, D), theta (D,), zero logits (B, D) of p(x|z,l,s); None where the likelihood has none."""
        h = self.decoder(self.given(z, covariates))
        mu = (log_l + self.share(h).log_softmax(1)).exp()
        theta = None if self.log_theta is None else self.log_theta.clamp(*LOGVAR_RANGE).exp()
        return mu, theta, None if self.zero is None else self.zero(h)

    def latent_distribution(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.posteriors(batch)[:2]

    def encode(self, batch: Batch) -> Tensor:
        return self.posteriors(batch)[0]

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        return count_mean(*self.px(z, self.posteriors(batch)[2], batch.covariates))

    def losses(self, batch: Batch) -> Losses:
        mu, logvar, *size = self.posteriors(batch)
        z = mu + (0.5 * logvar).exp() * standard_normal(tuple(mu.shape), mu, batch.generator)
        log_l = self.library.draw(*size, batch.generator)
        penalty = kl_standard_normal(mu, logvar) + self.library.kl(*size)
        return Losses(count_nll(batch.x, *self.px(z, log_l, batch.covariates)), penalty)

    def log_likelihood(self, batch: Batch, n_importance: int) -> Tensor:
        (mu, logvar, *size), log_w = self.posteriors(batch), []
        for _ in range(n_importance):  # a loop, not a (K, B, D) tensor: memory stays that of one batch
            z = mu + (0.5 * logvar).exp() * standard_normal(tuple(mu.shape), mu, batch.generator)
            log_l = self.library.draw(*size, batch.generator)
            ratio = (
                gaussian_nll(z, mu, logvar) - 0.5 * (LOG_2PI + z.square()).sum(1) + self.library.log_ratio(log_l, *size)
            )
            log_w.append(ratio - count_nll(batch.x, *self.px(z, log_l, batch.covariates)))
        return torch.stack(log_w).logsumexp(0) - math.log(n_importance)  # (B,)

    def normalised_expression(self, batch: Batch, covariates: Tensor | None, size: float = 1e6) -> Tensor:
        """Return expected expression per `size` counts (B, D), decoded as if `covariates` (B, C) were the rows' own."""
        return self.px(self.encode(batch), torch.full_like(batch.x[:, :1], math.log(size)), covariates)[0]

    def exports(self, batch: Batch) -> dict[str, Tensor]:
        out = {"normalised_expression": self.normalised_expression(batch, batch.covariates)}
        if len(self.reference):  # every row decoded as if it came from the commonest training batch
            reference = self.reference.expand(len(batch.x), -1)
            out["batch_corrected_expression"] = self.normalised_expression(batch, reference)
        return out

    def generate(
        self, n_draws: int, generator: torch.Generator, *, noise: bool, covariates: Tensor | None = None
    ) -> Tensor:
        z = standard_normal((n_draws, self.n_latent), self.library.prior, generator)
        parameters = self.px(z, self.library.draw_prior(n_draws, generator), covariates)
        return draw_counts(*parameters, generator) if noise else count_mean(*parameters)

"""Variational autoencoder for counts: scVI's model, for bulk and single cells.

z ~ N(0, I),  l = library size,  rho = softmax(f(z, s)),  x_j ~ Poisson(l rho_j), NB(.., theta_j), ZINB(.., pi_j).
-ELBO = E_q[-log p(x|z,l,s)] + KL(q(z|x,s) || N(0, I)) [+ KL(q(log l|x) || N(m, v)) where l is latent].

Lopez et al. (2018), Deep generative modeling for single-cell transcriptomics, Nature Methods 15, 1053; s are batch
covariates, in the decoder and, with `encode_covariates`, in the encoder.
Differs from the paper: l is the observed sum unless `library: latent`; m, v are those of all training rows, not of each
batch; the encoder sees log1p(x) standardised by the training rows, in the place of scVI's batch norm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aeflow import networks
from aeflow.counts import check_counts, count_nll, draw_counts
from aeflow.layers import LOG_2PI, LOGVAR_RANGE
from aeflow.losses import gaussian_nll, kl_standard_normal
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


class ZINBVAE(
    AbstractAutoencoder, AbstractDensity, AbstractExporting, AbstractGenerative, AbstractPosterior, AbstractPrepared
):
    """Takes counts; n_covariates is 0 for a model without batches."""

    outcome = "counts"

    def __init__(
        self,
        n_vars: int,
        *,
        n_covariates: int = 0,
        n_hidden: Sequence[int] = (128,),
        n_latent: int = 10,
        activation: str = "relu",
        likelihood: str = "zinb",
        library: str = "observed",
        encode_covariates: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        check_choice("zinb_vae", "likelihood", likelihood, ("poisson", "nb", "zinb"))
        check_choice("zinb_vae", "library", library, ("observed", "latent"))
        self.n_latent, self.latent_library, self.encode_covariates = n_latent, library == "latent", encode_covariates
        n_in = n_vars + n_covariates * encode_covariates
        shared = {"network": "mlp", "activation": activation, "dropout": dropout}
        blocks, width = networks.trunk(n_in, n_hidden, **shared)
        self.trunk, self.posterior = nn.Sequential(*blocks), networks.head(width, 2 * n_latent, None)
        if self.latent_library:
            self.library = nn.Sequential(*networks.trunk(n_in, n_hidden, **shared)[0], networks.head(width, 2, None))
        blocks, width = networks.trunk(n_latent + n_covariates, list(reversed(n_hidden)), **shared)
        self.decoder, self.share = nn.Sequential(*blocks), networks.head(width, n_vars, None)
        self.zero = networks.head(width, n_vars, None) if likelihood == "zinb" else None
        self.log_theta = None if likelihood == "poisson" else nn.Parameter(torch.zeros(n_vars))
        self.register_buffer("library_prior", torch.tensor([0.0, 1.0]))  # mean and variance of log l
        self.register_buffer("reference", torch.zeros(n_covariates))  # the batch corrected expression is decoded to
        self.register_buffer("centre", torch.zeros(n_vars))  # of log1p(x), by training rows
        self.register_buffer("scale", torch.ones(n_vars))

    def check_support(self, x: Tensor) -> None:
        check_counts("zinb_vae", x)

    def prepare(self, x: Tensor, covariates: Tensor | None) -> None:
        log_l, log_x = x.sum(1, dtype=torch.float64).clamp(min=1).log(), torch.log1p(x)
        sd = log_x.std(0, correction=0)
        self.centre.copy_(log_x.mean(0)), self.scale.copy_(torch.where(sd > 1e-6, sd, 1.0))
        self.library_prior.copy_(torch.stack([log_l.mean(), log_l.var(correction=0).clamp(min=1e-4)]))
        with torch.no_grad():  # start from the training shares: without it the first epochs only find the bias
            self.share[-1].bias.copy_((x.sum(0, dtype=torch.float64) + 1).log())
        if covariates is not None:
            rows, n = covariates.unique(dim=0, return_counts=True)
            self.reference.copy_(rows[n.argmax()])

    def given(self, h: Tensor, covariates: Tensor | None) -> Tensor:
        return torch.cat([h, covariates], 1) if len(self.reference) else h

    def posteriors(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return mu, logvar of z (B, L) and of log l (B, 1); an observed l is its mu, and its logvar says nothing."""
        x = (torch.log1p(batch.x) - self.centre) / self.scale
        x = self.given(x, batch.covariates) if self.encode_covariates else x
        mu, logvar = self.posterior(self.trunk(x)).chunk(2, dim=1)
        mu_l = batch.x.sum(1, keepdim=True).clamp(min=1).log()
        logvar_l = torch.zeros_like(mu_l)
        if self.latent_library:  # centred at the observed sum: the network learns what differs from it
            shift, logvar_l = self.library(x).chunk(2, dim=1)
            mu_l = mu_l + shift
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
        mu, _, zero = self.px(z, self.posteriors(batch)[2], batch.covariates)
        return mu if zero is None else mu * torch.sigmoid(-zero)

    def losses(self, batch: Batch) -> Losses:
        mu, logvar, log_l, logvar_l = self.posteriors(batch)
        z = mu + (0.5 * logvar).exp() * standard_normal(tuple(mu.shape), mu, batch.generator)
        penalty = kl_standard_normal(mu, logvar)
        if self.latent_library:
            mean, variance = self.library_prior
            # KL between normals is KL to N(0, 1) after standardising by the prior
            penalty = penalty + kl_standard_normal((log_l - mean) / variance.sqrt(), logvar_l - variance.log())
            log_l = log_l + (0.5 * logvar_l).exp() * standard_normal(tuple(log_l.shape), log_l, batch.generator)
        return Losses(count_nll(batch.x, *self.px(z, log_l, batch.covariates)), penalty)

    def log_likelihood(self, batch: Batch, n_importance: int) -> Tensor:
        mu, logvar, mu_l, logvar_l = self.posteriors(batch)
        (mean, variance), log_l, log_w = self.library_prior, mu_l, []
        for _ in range(n_importance):  # a loop, not a (K, B, D) tensor: memory stays that of one batch
            z = mu + (0.5 * logvar).exp() * standard_normal(tuple(mu.shape), mu, batch.generator)
            ratio = gaussian_nll(z, mu, logvar) - 0.5 * (LOG_2PI + z.square()).sum(1)
            if self.latent_library:
                log_l = mu_l + (0.5 * logvar_l).exp() * standard_normal(tuple(mu_l.shape), mu_l, batch.generator)
                ratio = ratio + gaussian_nll(log_l, mu_l, logvar_l) - gaussian_nll(log_l, mean, variance.log())
            log_w.append(ratio - count_nll(batch.x, *self.px(z, log_l, batch.covariates)))
        return torch.stack(log_w).logsumexp(0) - math.log(n_importance)  # (B,)

    def normalised_expression(self, batch: Batch, covariates: Tensor | None, size: float = 1e6) -> Tensor:
        """Return expected expression per `size` counts (B, D), decoded as if `covariates` (B, C) were the rows' own."""
        return self.px(self.encode(batch), torch.full_like(batch.x[:, :1], math.log(size)), covariates)[0]

    def exports(self, batch: Batch) -> dict[str, Tensor]:
        out = {"normalised_expression": self.normalised_expression(batch, batch.covariates)}
        if len(self.reference):  # every row decoded as if it came from the commonest training batch
            corrected = self.normalised_expression(batch, self.reference.expand(len(batch.x), -1))
            out["batch_corrected_expression"] = corrected
        return out

    def generate(
        self, n_draws: int, generator: torch.Generator, *, noise: bool, covariates: Tensor | None = None
    ) -> Tensor:
        z = standard_normal((n_draws, self.n_latent), self.library_prior, generator)
        mean, variance = self.library_prior
        log_l = mean + variance.sqrt() * standard_normal((n_draws, 1), mean, generator)
        mu, theta, zero = self.px(z, log_l, covariates)
        if noise:
            return draw_counts(mu, theta, zero, generator)
        return mu if zero is None else mu * torch.sigmoid(-zero)

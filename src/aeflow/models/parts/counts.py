"""Likelihoods of counts: Poisson, negative binomial (NB), zero-inflated negative binomial (ZINB).

Lopez et al. (2018), Nature Methods 15, 1053, for NB by mean and inverse dispersion, and for ZINB.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aeflow.errors import DataError

EPSILON = 1e-8  # keeps logarithms and divisions of rates finite


class StandardisedLog(nn.Module):
    """log1p of counts (B, D), each variable with mean 0 and standard deviation 1 over the rows it was fitted on."""

    def __init__(self, n_vars: int):
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_vars))
        self.register_buffer("scale", torch.ones(n_vars))

    def fit(self, x: Tensor) -> None:
        log_x = torch.log1p(x)
        sd = log_x.std(0, correction=0)
        self.centre.copy_(log_x.mean(0))
        self.scale.copy_(torch.where(sd > 1e-6, sd, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return (torch.log1p(x) - self.centre) / self.scale


def poisson_nll(x: Tensor, rate: Tensor) -> Tensor:
    """Return -sum_j log Poisson(x_j; rate_j) in nats."""
    x = x.double()
    rate_ = rate.double()
    return (rate_ - torch.xlogy(x, rate_ + EPSILON) + torch.lgamma(x + 1)).sum(-1).to(rate.dtype)


def nb_log_prob(x: Tensor, mu: Tensor, theta: Tensor) -> Tensor:
    """Return log NB(x_j; mean mu_j, inverse dispersion theta_j) (B, D), float64: variance mu + mu^2 / theta."""
    # log-gammas of counts of 1e5 are about 1e6: their difference has no digit left in float32
    x = x.double()
    mu = mu.double()
    theta = theta.double()
    log_total = torch.log(theta + mu + EPSILON)
    return (
        theta * (torch.log(theta + EPSILON) - log_total)
        + x * (torch.log(mu + EPSILON) - log_total)
        + torch.lgamma(x + theta)
        - torch.lgamma(theta)
        - torch.lgamma(x + 1)
    )


def nb_nll(x: Tensor, mu: Tensor, theta: Tensor) -> Tensor:
    """Return -sum_j log NB(x_j; mu_j, theta_j) in nats (Lopez et al. 2018, scVI)."""
    return -nb_log_prob(x, mu, theta).sum(-1).to(mu.dtype)


def zinb_nll(x: Tensor, mu: Tensor, theta: Tensor, pi_logits: Tensor) -> Tensor:
    """Return -sum_j log[pi_j 1(x_j = 0) + (1 - pi_j) NB(x_j; mu_j, theta_j)] in nats, pi = sigmoid(pi_logits)."""
    log_nb = nb_log_prob(x, mu, theta) + F.logsigmoid(-pi_logits.double())
    at_zero = torch.logaddexp(F.logsigmoid(pi_logits.double()), log_nb)
    return -torch.where(x < 0.5, at_zero, log_nb).sum(-1).to(mu.dtype)


def count_nll(x: Tensor, mu: Tensor, theta: Tensor | None, pi_logits: Tensor | None) -> Tensor:
    """Return the negative log-likelihood in nats: Poisson without theta, NB without pi_logits, else ZINB."""
    if theta is None:
        return poisson_nll(x, mu)
    return nb_nll(x, mu, theta) if pi_logits is None else zinb_nll(x, mu, theta, pi_logits)


def count_mean(mu: Tensor, theta: Tensor | None, pi_logits: Tensor | None) -> Tensor:
    """Return E[x] (B, D) of the same distribution."""
    return mu if pi_logits is None else mu * torch.sigmoid(-pi_logits)


def draw_counts(mu: Tensor, theta: Tensor | None, pi_logits: Tensor | None, generator: torch.Generator) -> Tensor:
    """Return counts (B, D) drawn from the same distribution; NB is a Poisson of Gamma-distributed rate."""
    if theta is not None:
        mu = torch._standard_gamma(theta.expand_as(mu), generator=generator) * mu / theta
    x = torch.poisson(mu, generator=generator)
    if pi_logits is None:
        return x
    u = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return torch.where(u < torch.sigmoid(pi_logits), torch.zeros_like(x), x)


def check_counts(model: str, x: Tensor) -> None:
    """Raise DataError if a count model is given negative or fractional values."""
    if x.min() < 0:
        raise DataError(f"{model}: counts are never negative, found {x.min():g}")
    fraction = (x - x.round()).abs().max()
    if fraction > 1e-3:
        raise DataError(f"{model}: counts are whole numbers, found one {fraction:g} off; set the dataset's round: true")

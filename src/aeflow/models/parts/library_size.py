"""Library size l of counts: the observed sum of a row, or a latent whose logarithm has a normal prior.

log l ~ N(m, v),  q(log l | x) = N(log sum_j x_j + shift(x), exp logvar(x)); m, v are those of all training rows.

Lopez et al. (2018), Nature Methods 15, 1053, where m, v are those of the row's batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aeflow.models.base import standard_normal
from aeflow.models.parts.losses import gaussian_nll, kl_standard_normal


class LibrarySize(nn.Module):
    """net : x (B, D) -> shift, logvar (B, 2) of a latent size; None takes the observed one, which costs nothing."""

    def __init__(self, net: nn.Module | None):
        super().__init__()
        self.net = net
        self.register_buffer("prior", torch.tensor([0.0, 1.0]))  # mean and variance of log l

    def fit(self, counts: Tensor) -> None:
        """Set the prior by training rows (n, D)."""
        log_l = counts.sum(1, dtype=torch.float64).clamp(min=1).log()
        self.prior.copy_(torch.stack([log_l.mean(), log_l.var(correction=0).clamp(min=1e-4)]))

    def posterior(self, counts: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu, logvar (B, 1) of log l; an observed size is its mu, and its logvar says nothing."""
        mu = counts.sum(1, keepdim=True).clamp(min=1).log()
        if self.net is None:
            return mu, torch.zeros_like(mu)
        shift, logvar = self.net(x).chunk(2, dim=1)  # centred at the observed sum: the network learns what differs
        return mu + shift, logvar

    def draw(self, mu: Tensor, logvar: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return log l ~ q (B, 1)."""
        if self.net is None:
            return mu
        return mu + (0.5 * logvar).exp() * standard_normal(tuple(mu.shape), mu, generator)

    def kl(self, mu: Tensor, logvar: Tensor) -> Tensor | float:
        """Return KL(q || prior) in nats (B,)."""
        if self.net is None:
            return 0.0
        mean, variance = self.prior  # KL between normals is KL to N(0, 1) after standardising by the prior
        return kl_standard_normal((mu - mean) / variance.sqrt(), logvar - variance.log())

    def log_ratio(self, log_l: Tensor, mu: Tensor, logvar: Tensor) -> Tensor | float:
        """Return log p(log l) - log q(log l) in nats (B,)."""
        if self.net is None:
            return 0.0
        mean, variance = self.prior
        return gaussian_nll(log_l, mu, logvar) - gaussian_nll(log_l, mean, variance.log())

    def draw_prior(self, n_draws: int, generator: torch.Generator) -> Tensor:
        """Return log l ~ N(m, v) (n_draws, 1)."""
        mean, variance = self.prior
        return mean + variance.sqrt() * standard_normal((n_draws, 1), mean, generator)

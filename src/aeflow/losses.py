"""Loss terms, one value per observation: inputs (B, D) or (B, L), outputs (B,)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from aeflow.layers import LOG_2PI


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """Return sum_j (x_j - x_hat_j)^2, in squared units of x."""
    return (x - x_hat).square().sum(1)


def bernoulli_nll(x: Tensor, logits: Tensor) -> Tensor:
    """Return -sum_j [x_j log p_j + (1 - x_j) log(1 - p_j)] in nats, p = sigmoid(logits).

    For grey x in [0, 1] this is the expectation of the binary likelihood over b_j ~ Bernoulli(x_j), because it is
    linear in x: the objective of dynamic binarisation without its sampling noise.
    """
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)


def gaussian_nll(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Return -sum_j log N(x_j; mu_j, exp(logvar_j)) in nats."""
    return 0.5 * (LOG_2PI + logvar + (x - mu).square() * (-logvar).exp()).sum(1)


def kl_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return KL(N(mu, diag exp(logvar)) || N(0, I)) in nats (Kingma & Welling 2014, appendix B)."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)

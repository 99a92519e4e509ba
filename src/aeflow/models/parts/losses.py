"""Loss terms, one value per observation: inputs (B, D) or (B, L), outputs (B,)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from aeflow.errors import DataError
from aeflow.models.parts.layers import LOG_2PI

Reconstruction = Literal["squared_error", "cross_entropy"]
RECONSTRUCTIONS = get_args(Reconstruction)


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """Return sum_j (x_j - x_hat_j)^2, in squared units of x."""
    return F.mse_loss(x_hat, x, reduction="none").sum(1)  # one kernel each way, where torch has two and four


def bernoulli_nll(x: Tensor, logits: Tensor) -> Tensor:
    """Return -sum_j [x_j log p_j + (1 - x_j) log(1 - p_j)] in nats, p = sigmoid(logits).

    For grey x in [0, 1] this is the expectation of the binary likelihood over b_j ~ Bernoulli(x_j), because it is
    linear in x: the objective of dynamic binarisation without its sampling noise.
    """
    if not torch.is_grad_enabled():  # a third of the time of torch's own, which is the faster one with its gradient
        return F.softplus(logits).sum(-1) - (x * logits).sum(-1)
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def gaussian_nll(x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Return -sum_j log N(x_j; mu_j, exp(logvar_j)) in nats; logvar (D,) or as mu."""
    if logvar.ndim == 1:  # the same for every row: half of the passes over the data
        squares = F.mse_loss(*torch.broadcast_tensors(mu, x), reduction="none")
        return 0.5 * (squares @ (-logvar).exp() + (LOG_2PI + logvar).sum())
    return 0.5 * (LOG_2PI + logvar + (x - mu).square() * (-logvar).exp()).sum(-1)


def kl_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return KL(N(mu, diag exp(logvar)) || N(0, I)) in nats (Kingma & Welling 2014, appendix B)."""
    return kl_standard_normal_parts(mu, logvar).sum(-1)


def kl_standard_normal_parts(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return the same by latent (B, L)."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def kl_bernoulli(target: float, p: Tensor) -> Tensor:
    """Return KL(Bernoulli(target) || Bernoulli(p)) in nats, element by element (Ng 2011, CS294A notes, section 3)."""
    p = p.clamp(1e-6, 1 - 1e-6)
    q = torch.as_tensor(target, dtype=p.dtype, device=p.device)
    return torch.special.entr(q).neg() + torch.special.entr(1 - q).neg() - q * p.log() - (1 - q) * torch.log1p(-p)


def check_reconstruction(model: str, loss: str) -> None:
    """Raise ValueError if `loss` is none of `RECONSTRUCTIONS`."""
    if loss not in RECONSTRUCTIONS:
        raise ValueError(f"{model}: loss {loss!r} does not exist; known: {', '.join(RECONSTRUCTIONS)}")


def reconstruction(loss: str, x: Tensor, out: Tensor) -> Tensor:
    """Return squared error of `out`, or the cross-entropy of x in [0, 1] under logits `out`; (B,)."""
    return bernoulli_nll(x, out) if loss == "cross_entropy" else squared_error(x, out)


def check_unit_interval(model: str, x: Tensor) -> None:
    """Raise DataError if a Bernoulli model is given values outside [0, 1]."""
    if x.min() < 0 or x.max() > 1:
        raise DataError(f"{model}: a Bernoulli likelihood needs x in [0, 1], found [{x.min():g}, {x.max():g}]")

"""Bernoulli and Gaussian likelihoods p(x | z) of a decoder's output, and the importance-weighted bound."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from aeflow.models.parts.layers import LOGVAR_RANGE
from aeflow.models.parts.losses import bernoulli_nll, gaussian_nll

Likelihood = Literal["bernoulli", "gaussian"]
LIKELIHOODS = get_args(Likelihood)


def nll(likelihood: str, x: Tensor, out: Tensor, logvar: Tensor | None) -> Tensor:
    """Return -log p(x | z) in nats (..., B) of x (B, D) under a decoder's output (..., B, D); Gaussian: logvar (D,)."""
    if likelihood == "bernoulli":
        return bernoulli_nll(x.expand_as(out), out)
    return gaussian_nll(x, out, logvar.clamp(*LOGVAR_RANGE))


def mean(likelihood: str, out: Tensor) -> Tensor:
    """Return E[x | z] of a decoder's output, same shape."""
    return torch.sigmoid(out) if likelihood == "bernoulli" else out


def draw(
    likelihood: str, out: Tensor, logvar: Tensor | None, generator: torch.Generator | None, *, noise: bool
) -> Tensor:
    """Return x ~ p(x | z) of a decoder's output (B, D), or its mean if not `noise`."""
    x = mean(likelihood, out)
    if not noise:
        return x
    if likelihood == "bernoulli":
        return torch.bernoulli(x, generator=generator)
    eps = torch.randn(out.shape, generator=generator, device=out.device, dtype=out.dtype)
    return x + (0.5 * logvar.clamp(*LOGVAR_RANGE)).exp() * eps


def importance_bound(log_w: Tensor, z: Tensor, *, dreg: bool) -> Tensor:
    """Return log 1/K sum_k w_k (B,) of log weights (K, B) (Burda et al. 2016, eq 8).

    dreg : its gradient is the doubly reparameterised one (Tucker et al. 2019, eq 8): the decoder takes the normalised
    weights, the encoder, which is reached through z (K, B, L), their squares. log_w must hold no gradient of q's own
    parameters then.
    """
    bound = log_w.logsumexp(0) - math.log(len(log_w))
    if not dreg:
        return bound
    weights = log_w.detach().softmax(0)
    if z.requires_grad:
        z.register_hook(lambda grad: grad * weights.unsqueeze(-1))
    surrogate = (weights * log_w).sum(0)
    return surrogate + (bound - surrogate).detach()

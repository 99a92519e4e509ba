"""Building blocks of the networks: multilayer perceptron and masked linear map."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["relu", "leaky_relu", "tanh", "sigmoid", "elu"]  # read from here by the plan, without torch
ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "elu": nn.ELU}


def new_activation(name: str) -> nn.Module:
    """Return a new activation module; an unknown `name` raises ValueError."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation {name!r} does not exist; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def mlp(sizes: Sequence[int], activation: str, *, dropout: float = 0.0, activate_last: bool = False) -> nn.Sequential:
    """Return linear maps sizes[0] -> ... -> sizes[-1] with `activation` between them.

    `activate_last` puts one after the last map too. Weights are Xavier-uniform (Glorot & Bengio 2010), biases zero.
    """
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        linear = nn.Linear(n_in, n_out)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers.append(linear)
        if i < len(sizes) - 2 or activate_last:
            layers.append(new_activation(activation))
            if dropout:
                layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


class MaskedLinear(nn.Module):
    """Linear map whose weight W is zero wherever `mask` is: y = x (W * mask)^T + b.

    Parameters
    ----------
    mask : (n_in, n_out) of 0 and 1; 1 where input i may reach output j.
    """

    def __init__(self, mask: Tensor):
        super().__init__()
        n_in, n_out = mask.shape
        # each unit starts at unit variance for its own number of inputs, else large sets saturate and small ones vanish
        fan_in = mask.sum(0).clamp(min=1)
        self.weight = nn.Parameter(torch.randn(n_out, n_in) * mask.T / fan_in[:, None].sqrt())
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.register_buffer("mask", mask.T.contiguous().float(), persistent=False)  # the model keeps one copy

    def forward(self, x: Tensor) -> Tensor:  # (B, n_in) -> (B, n_out)
        return F.linear(x, self.weight * self.mask, self.bias)


LOG_2PI = math.log(2 * math.pi)
LOGVAR_RANGE = (-10.0, 10.0)  # beyond it exp(logvar) under- or overflows float32 gradients

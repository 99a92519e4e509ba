"""Encoders and decoders as chains of blocks, fully connected or convolutional.

A block is one map with its activation. Block i of an encoder and block -1 - i of the mirrored decoder undo each other,
which is what layer-wise pretraining trains and what hidden-activation scores read.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal, get_args

from torch import nn

from aeflow.models.parts.layers import new_activation

Network = Literal["mlp", "conv"]
NETWORKS = get_args(Network)
KERNEL, STRIDE, PADDING = 3, 2, 1  # of every convolution: halves the side


def trunk(
    n_vars: int, n_hidden: Sequence[int], *, network: str, activation: str, bias: bool = True, dropout: float = 0.0
) -> tuple[list[nn.Module], int]:
    """Return blocks n_vars -> n_hidden[0] -> ... -> n_hidden[-1], and the number of values the last one gives.

    `n_hidden` are widths for `mlp`; for `conv` channels of square images of sqrt(n_vars) pixels a side, whose side
    every block halves (rounded up).
    """
    check_network(network, n_vars)
    if network == "mlp":
        sizes = [n_vars, *n_hidden]
        blocks = [_dense(a, b, activation, bias=bias, dropout=dropout) for a, b in itertools.pairwise(sizes)]
        return blocks, sizes[-1]
    sides, channels = _sides(n_vars, len(n_hidden)), [1, *n_hidden]
    blocks = []
    before = [nn.Unflatten(1, (1, sides[0], sides[0]))]
    for a, b in itertools.pairwise(channels):
        convolution = nn.Conv2d(a, b, KERNEL, STRIDE, PADDING, bias=bias)
        blocks.append(_block(convolution, activation, dropout, before=before))
        before = []  # the first block alone makes images of rows
    return blocks, channels[-1] * sides[-1] ** 2


def encoder(
    n_vars: int,
    n_hidden: Sequence[int],
    n_latent: int,
    *,
    network: str = "mlp",
    activation: str = "relu",
    bias: bool = True,
    dropout: float = 0.0,
    activate_last: bool = False,
) -> nn.Sequential:
    """Return blocks n_vars -> n_hidden... -> n_latent; the last one is linear unless `activate_last`."""
    blocks, width = trunk(n_vars, n_hidden, network=network, activation=activation, bias=bias, dropout=dropout)
    blocks.append(head(width, n_latent, activation if activate_last else None, bias=bias))
    return nn.Sequential(*blocks)


def decoder(
    n_latent: int,
    n_hidden: Sequence[int],
    n_vars: int,
    *,
    network: str = "mlp",
    activation: str = "relu",
    bias: bool = True,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Return blocks n_latent -> n_hidden... -> n_vars, the last one linear; `n_hidden` in the decoder's order."""
    check_network(network, n_vars)
    if network == "mlp":
        sizes = [n_latent, *n_hidden]
        blocks = [_dense(a, b, activation, bias=bias, dropout=dropout) for a, b in itertools.pairwise(sizes)]
        return nn.Sequential(*blocks, head(sizes[-1], n_vars, None, bias=bias))
    sides, channels = _sides(n_vars, len(n_hidden))[::-1], [*n_hidden, 1]
    if not n_hidden:
        return nn.Sequential(head(n_latent, n_vars, None, bias=bias))
    blocks = [
        _block(
            _xavier(nn.Linear(n_latent, channels[0] * sides[0] ** 2, bias=bias)),
            activation,
            dropout,
            after=[nn.Unflatten(1, (channels[0], sides[0], sides[0]))],
        )
    ]
    for i, (a, b) in enumerate(itertools.pairwise(channels)):
        # a side of 2n and one of 2n - 1 both halve to n: the extra pixel tells them apart on the way back
        extra = sides[i + 1] - (2 * sides[i] - 1)
        convolution = nn.ConvTranspose2d(a, b, KERNEL, STRIDE, PADDING, output_padding=extra, bias=bias)
        if i < len(channels) - 2:
            blocks.append(_block(convolution, activation, dropout))
        else:
            blocks.append(_block(convolution, None, 0.0, after=[nn.Flatten()]))
    return nn.Sequential(*blocks)


def head(n_in: int, n_out: int, activation: str | None, *, bias: bool = True) -> nn.Sequential:
    """Return a block of one linear map on flattened inputs, with `activation` if there is one."""
    return _block(_xavier(nn.Linear(n_in, n_out, bias=bias)), activation, 0.0, before=[nn.Flatten()])


def stages(encoder: nn.Sequential, decoder: nn.Sequential) -> list[tuple[nn.Module, nn.Module]]:
    """Return the pairs of blocks that undo each other, outermost first; [] if the two are not mirrored."""
    return list(zip(encoder, reversed(decoder), strict=True)) if len(encoder) == len(decoder) else []


def check_network(network: str, n_vars: int) -> None:
    """Raise ValueError for a network that does not exist or cannot take `n_vars` variables."""
    if network not in NETWORKS:
        raise ValueError(f"network {network!r} does not exist; known: {', '.join(NETWORKS)}")
    if network == "conv" and math.isqrt(n_vars) ** 2 != n_vars:
        raise ValueError(f"network 'conv' needs square images; {n_vars} variables are no square")


def _sides(n_vars: int, n_halvings: int) -> list[int]:
    sides = [math.isqrt(n_vars)]
    for _ in range(n_halvings):
        sides.append((sides[-1] + 1) // 2)
    return sides


def _xavier(layer: nn.Module) -> nn.Module:
    """Initialise by Glorot & Bengio (2010), biases zero."""
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _dense(n_in: int, n_out: int, activation: str, *, bias: bool, dropout: float) -> nn.Sequential:
    return _block(_xavier(nn.Linear(n_in, n_out, bias=bias)), activation, dropout)


def _block(layer: nn.Module, activation: str | None, dropout: float, before=(), after=()) -> nn.Sequential:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        _xavier(layer)
    middle = [layer]
    if activation:
        middle.append(new_activation(activation))
    if dropout:
        middle.append(nn.Dropout(dropout))
    return nn.Sequential(*before, *middle, *after)

"""Corruptions C(x~ | x) of denoising autoencoders (Vincent et al. 2010, JMLR 11, 3371, section 3.3)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

Corruption = Literal["gaussian", "masking", "salt_and_pepper"]
CORRUPTIONS = get_args(Corruption)


def check_corruption(model: str, kind: str, noise: float) -> None:
    """Raise ValueError for a corruption that does not exist, or a level it cannot have."""
    if kind not in CORRUPTIONS:
        raise ValueError(f"{model}: corruption {kind!r} does not exist; known: {', '.join(CORRUPTIONS)}")
    if noise < 0 or (kind != "gaussian" and noise > 1):
        raise ValueError(f"{model}: noise {noise} of corruption {kind!r} is not a share between 0 and 1")


def corrupt(x: Tensor, kind: str, noise: float, generator: torch.Generator | None) -> Tensor:
    """Return x~ (B, D).

    gaussian : x + noise * N(0, 1).
    masking : a share `noise` of the values of each row set to 0, drawn independently.
    salt_and_pepper : a share `noise` set to 0 or 1 with equal chance.
    """
    if kind == "gaussian":
        draws = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return x + noise * draws
    u = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    if kind == "masking":
        return torch.where(u < noise, torch.zeros_like(x), x)
    return torch.where(u < noise, (u < noise / 2).to(x.dtype), x)

"""Greedy layer-wise pretraining: each layer as an autoencoder of the previous layers' output.

Stage i minimises ||h_i - d_i(e_i(h_i))||^2 over its encoder block e_i and decoder block d_i, then h_i+1 = e_i(h_i).
Hinton & Salakhutdinov (2006), Science 313, 504; Bengio et al. (2007), Greedy layer-wise training of deep networks,
NeurIPS 19.
Differs from the papers: plain autoencoders instead of restricted Boltzmann machines.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from aeflow.errors import ConfigError
from aeflow.models.base import AbstractLayered, Batch
from aeflow.models.parts.losses import squared_error

log = logging.getLogger(__name__)


def pretrain(
    model, x: Tensor, covariates: Tensor | None, *, epochs: int, batch_size: int, learning_rate: float, seed: int
) -> list[float]:
    """Train the stages of `model` in place on rows x (n_obs, D); return the last epoch's mean error of each.

    Raises ConfigError if the model has no stages, FloatingPointError naming stage and epoch if an error is not finite.
    """
    stages = model.stages() if isinstance(model, AbstractLayered) else []
    if not stages:
        raise ConfigError(f"pretrain_epochs: {epochs}, but {type(model).__name__} has no mirrored layers to pretrain")
    generator = torch.Generator(x.device).manual_seed(seed)
    model.train()
    errors = []
    for index, (encode, decode) in enumerate(stages):
        before = [e for e, _ in stages[:index]]
        optimiser = torch.optim.Adam([*encode.parameters(), *decode.parameters()], lr=learning_rate, fused=True)
        for epoch in range(1, epochs + 1):
            total = torch.zeros((), dtype=torch.float64, device=x.device)
            for rows in torch.randperm(len(x), generator=generator, device=x.device).split(batch_size):
                batch = Batch(x[rows], generator, None if covariates is None else covariates[rows])
                with torch.no_grad():
                    h = model.stage_input(batch)
                    for block in before:
                        h = block(h)
                # the first layer may be given covariates but reconstructs x only
                target = (batch.x if index == 0 else h).flatten(1)
                error = squared_error(target, decode(encode(h)).flatten(1))
                optimiser.zero_grad(set_to_none=True)
                error.mean().backward()
                optimiser.step()
                total += error.detach().double().sum()
            mean = total.item() / len(x)
            if mean != mean or mean == float("inf"):
                raise FloatingPointError(f"pretraining: error of stage {index + 1} is {mean} at epoch {epoch}")
        errors.append(mean)
        log.info("pretrained layer %d of %d: squared error %.4f after %d epochs", index + 1, len(stages), mean, epochs)
    return errors

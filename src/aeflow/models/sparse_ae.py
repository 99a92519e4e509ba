"""Sparse autoencoder: few active latents, few weights, or both.

loss = reconstruction + l1_latent sum_j |z_j| + kl sum_j KL(target || rho_j) + l1_weights sum |W|,
rho_j the mean activation of latent j.

Ng (2011), Sparse autoencoder, CS294A lecture notes, section 3 (KL); Tibshirani (1996) for the L1 norm.
Differs from the notes: rho_j is the batch's mean in training, its running mean in evaluation, so that a held-out row's
loss does not depend on its neighbours; the latents of KL are sigmoid, those of L1 have the chosen activation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aeflow.keywords import Mean, Size, Sizes, Weight
from aeflow.models.base import AbstractAutoencoder, AbstractLayered, Batch, Losses
from aeflow.models.parts import networks
from aeflow.models.parts.layers import Activation
from aeflow.models.parts.losses import (
    Reconstruction,
    check_reconstruction,
    check_unit_interval,
    kl_bernoulli,
    reconstruction,
)

MOMENTUM = 0.1  # of the running mean activation


class SparseAE(AbstractAutoencoder, AbstractLayered):
    """Mirror-shaped perceptron with activated latents; `n_latent` may exceed `n_vars` (overcomplete)."""

    def __init__(
        self,
        n_vars: int,
        *,
        n_hidden: Sizes = (),
        n_latent: Size = 128,
        activation: Activation = "relu",
        loss: Reconstruction = "squared_error",
        l1_latent: Weight = 0.0,
        l1_weights: Weight = 0.0,
        kl: Weight = 0.0,
        target: Mean = 0.05,
    ):
        super().__init__()
        check_reconstruction("sparse_ae", loss)
        if not 0 < target < 1:
            raise ValueError(f"sparse_ae: target {target} is no mean activation between 0 and 1")
        self.n_latent, self.loss = n_latent, loss
        self.l1_latent, self.l1_weights, self.kl, self.target = l1_latent, l1_weights, kl, target
        blocks, width = networks.trunk(n_vars, n_hidden, network="mlp", activation=activation)
        self.encoder = nn.Sequential(*blocks, networks.head(width, n_latent, "sigmoid" if kl else activation))
        self.decoder = networks.decoder(n_latent, list(reversed(n_hidden)), n_vars, activation=activation)
        self.register_buffer("mean_activation", torch.full((n_latent,), target))

    def check_support(self, x: Tensor) -> None:
        if self.loss == "cross_entropy":
            check_unit_interval("sparse_ae", x)

    def stages(self) -> list[tuple[nn.Module, nn.Module]]:
        return networks.stages(self.encoder, self.decoder)

    def encode(self, batch: Batch) -> Tensor:
        return self.encoder(batch.x)  # (B, L)

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        out = self.decoder(z)
        return torch.sigmoid(out) if self.loss == "cross_entropy" else out

    def losses(self, batch: Batch) -> Losses:
        z = self.encode(batch)
        penalty = self.l1_latent * z.abs().sum(1)
        if self.l1_weights:
            matrices = [p for p in self.parameters() if p.ndim > 1]
            penalty = penalty + self.l1_weights * torch.stack([p.abs().sum() for p in matrices]).sum()
        if self.kl:
            rho = self.mean_activation
            if self.training:
                rho = z.mean(0)
                self.mean_activation.lerp_(rho.detach(), MOMENTUM)
            penalty = penalty + self.kl * kl_bernoulli(self.target, rho).sum()
        return Losses(reconstruction(self.loss, batch.x, self.decoder(z)), penalty)

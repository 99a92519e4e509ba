"""Denoising autoencoder: reconstruct the clean observation from a corrupted one.

x~ ~ C(x~ | x),  loss = reconstruction of x by g(f(x~)).

Vincent et al. (2010), Stacked denoising autoencoders, JMLR 11, 3371, section 3 (corruptions: 3.3).
Differs from the paper: trained end to end unless pretraining is asked for. Latents and scores are those of clean rows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aeflow.keywords import Size, Sizes, Weight
from aeflow.models.base import AbstractAutoencoder, AbstractLayered, Batch, Losses
from aeflow.models.parts import networks
from aeflow.models.parts.corruption import Corruption, check_corruption, corrupt
from aeflow.models.parts.layers import Activation
from aeflow.models.parts.losses import Reconstruction, check_reconstruction, check_unit_interval, reconstruction
from aeflow.models.parts.networks import Network


class DAE(AbstractAutoencoder, AbstractLayered):
    """An autoencoder trained on corrupted input; `noise` is a standard deviation (gaussian) or a share of variables."""

    def __init__(
        self,
        n_vars: int,
        *,
        n_hidden: Sizes = (256,),
        n_latent: Size = 32,
        network: Network = "mlp",
        activation: Activation = "relu",
        loss: Reconstruction = "squared_error",
        corruption: Corruption = "gaussian",
        noise: Weight = 0.3,
    ):
        super().__init__()
        check_reconstruction("dae", loss)
        check_corruption("dae", corruption, noise)
        self.n_latent, self.loss, self.corruption, self.noise = n_latent, loss, corruption, noise
        self.encoder = networks.encoder(n_vars, n_hidden, n_latent, network=network, activation=activation)
        self.decoder = networks.decoder(
            n_latent, list(reversed(n_hidden)), n_vars, network=network, activation=activation
        )

    def check_support(self, x: Tensor) -> None:
        if self.loss == "cross_entropy":
            check_unit_interval("dae", x)

    def stages(self) -> list[tuple[nn.Module, nn.Module]]:
        return networks.stages(self.encoder, self.decoder)

    def encode(self, batch: Batch) -> Tensor:
        return self.encoder(batch.x)  # (B, L)

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        out = self.decoder(z)
        return torch.sigmoid(out) if self.loss == "cross_entropy" else out

    def losses(self, batch: Batch) -> Losses:
        corrupted = corrupt(batch.x, self.corruption, self.noise, batch.generator)
        error = reconstruction(self.loss, batch.x, self.decoder(self.encoder(corrupted)))
        return Losses(error, torch.zeros_like(error))

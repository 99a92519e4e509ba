"""Deterministic autoencoder of any depth and shape.

z = f(x),  x_hat = g(z),  loss = sum_j (x_j - x_hat_j)^2,  or the cross-entropy of x_j in [0, 1] under x_hat_j.

Hinton & Salakhutdinov (2006), Reducing the dimensionality of data with neural networks, Science 313.
Differs from the paper: Xavier weights; pretraining, layer by layer, only where training asks for it.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from aeflow.keywords import Probability, Size, Sizes
from aeflow.models.base import AbstractAutoencoder, AbstractLayered, Batch, Losses
from aeflow.models.parts import networks
from aeflow.models.parts.layers import Activation
from aeflow.models.parts.losses import Reconstruction, check_reconstruction, check_unit_interval, reconstruction
from aeflow.models.parts.networks import Network


class AE(AbstractAutoencoder, AbstractLayered):
    """n_vars -> n_hidden... -> n_latent -> n_hidden_decoder... -> n_vars; the decoder mirrors the encoder if not given.

    output : "linear" or "sigmoid" with squared error; cross-entropy is always sigmoid.
    activate_latent : put the activation on the latents, too, as in a network of one hidden layer.
    """

    def __init__(
        self,
        n_vars: int,
        *,
        n_hidden: Sizes = (256,),
        n_hidden_decoder: Sizes | None = None,
        n_latent: Size = 32,
        network: Network = "mlp",
        activation: Activation = "relu",
        activate_latent: bool = False,
        output: Literal["linear", "sigmoid"] = "linear",
        loss: Reconstruction = "squared_error",
        bias: bool = True,
        dropout: Probability = 0.0,
    ):
        super().__init__()
        check_reconstruction("ae", loss)
        if output not in ("linear", "sigmoid"):
            raise ValueError(f"ae: output {output!r} does not exist; known: linear, sigmoid")
        self.n_latent, self.loss = n_latent, loss
        self.sigmoid = output == "sigmoid" or loss == "cross_entropy"
        self.mirrored = n_hidden_decoder is None
        back = list(reversed(n_hidden)) if n_hidden_decoder is None else n_hidden_decoder
        shared = {"network": network, "activation": activation, "bias": bias, "dropout": dropout}
        self.encoder = networks.encoder(n_vars, n_hidden, n_latent, activate_last=activate_latent, **shared)
        self.decoder = networks.decoder(n_latent, back, n_vars, **shared)

    def check_support(self, x: Tensor) -> None:
        if self.sigmoid:  # it cannot reach anything else
            check_unit_interval("ae", x)

    def stages(self) -> list[tuple[nn.Module, nn.Module]]:
        return networks.stages(self.encoder, self.decoder) if self.mirrored else []

    def encode(self, batch: Batch) -> Tensor:
        return self.encoder(batch.x)  # (B, L)

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        out = self.decoder(z)  # (B, D)
        return torch.sigmoid(out) if self.sigmoid else out

    def losses(self, batch: Batch) -> Losses:
        z = self.encode(batch)
        out = self.decoder(z) if self.loss == "cross_entropy" else self.decode(z, batch)
        error = reconstruction(self.loss, batch.x, out)
        return Losses(error, torch.zeros_like(error))

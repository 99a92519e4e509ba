"""Contractive autoencoder: latents that move little when the observation does.

loss = reconstruction + contraction * ||J_f(x)||_F^2,  J_f = df/dx of the encoder (L, D).

One layer f = s(W x + b) has ||J||^2 = sum_j s'(a_j)^2 sum_i W_ji^2; deeper encoders take J by autograd, row by row.
Rifai et al. (2011), Contractive auto-encoders: explicit invariance during feature extraction, ICML 28, eqs 4, 6.
Differs from the paper: encoder and decoder are not tied; deep encoders have the exact Jacobian of all layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aeflow.keywords import Size, Sizes, Weight
from aeflow.models.base import AbstractAutoencoder, AbstractLayered, Batch, Losses
from aeflow.models.parts import networks
from aeflow.models.parts.layers import Activation
from aeflow.models.parts.losses import Reconstruction, check_reconstruction, check_unit_interval, reconstruction
from aeflow.models.parts.networks import Network


class CAE(AbstractAutoencoder, AbstractLayered):
    """An autoencoder with activated latents and a penalty on its encoder's Jacobian."""

    def __init__(
        self,
        n_vars: int,
        *,
        n_hidden: Sizes = (),
        n_latent: Size = 32,
        network: Network = "mlp",
        activation: Activation = "sigmoid",
        loss: Reconstruction = "squared_error",
        contraction: Weight = 0.1,
    ):
        super().__init__()
        check_reconstruction("cae", loss)
        if activation not in ("sigmoid", "tanh") and not n_hidden:
            raise ValueError(f"cae: one layer of {activation!r} has no closed form here; known: sigmoid, tanh")
        self.n_latent, self.loss, self.contraction, self.activation = n_latent, loss, contraction, activation
        shared = {"network": network, "activation": activation}
        self.encoder = networks.encoder(n_vars, n_hidden, n_latent, activate_last=True, **shared)
        self.decoder = networks.decoder(n_latent, list(reversed(n_hidden)), n_vars, **shared)

    def check_support(self, x: Tensor) -> None:
        if self.loss == "cross_entropy":
            check_unit_interval("cae", x)

    def stages(self) -> list[tuple[nn.Module, nn.Module]]:
        return networks.stages(self.encoder, self.decoder)

    def encode(self, batch: Batch) -> Tensor:
        return self.encoder(batch.x)  # (B, L)

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        out = self.decoder(z)
        return torch.sigmoid(out) if self.loss == "cross_entropy" else out

    def squared_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents (B, L) and the squared Frobenius norm of the encoder's Jacobian (B,) at rows x (B, D)."""
        if len(self.encoder) == 1:
            z = self.encoder(x)
            slope = z * (1 - z) if self.activation == "sigmoid" else 1 - z.square()
            weight = next(p for p in self.encoder.parameters() if p.ndim == 2)
            return z, slope.square() @ weight.square().sum(1)
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            z = self.encoder(x)
            norm = torch.zeros_like(z[:, 0])
            for j in range(self.n_latent):  # a row of the Jacobian at a time: memory of one backward pass each
                (row,) = torch.autograd.grad(z[:, j].sum(), x, create_graph=self.training, retain_graph=True)
                norm = norm + row.square().sum(1)
        return z, norm

    def losses(self, batch: Batch) -> Losses:
        z, norm = self.squared_jacobian(batch.x)
        return Losses(reconstruction(self.loss, batch.x, self.decoder(z)), self.contraction * norm)

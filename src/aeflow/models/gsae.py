"""Gene-superset autoencoder: known gene sets shape the first layer, learnt supersets the second.

h = a(x (W1 * M) + b1)   gene-set layer, M[i, s] = 1 where gene i belongs to set s
z = a(h W2 + b2)         superset layer (the latents)
x_hat mirrors both layers, the last one masked by M^T; loss = sum_j (x_j - x_hat_j)^2.

Chen et al. (2018), GSAE: an autoencoder with embedded gene-set nodes for functional genomics characterization,
BMC Systems Biology 12, 142.
Differs from the paper: the decoder's own weights are masked too, so a superset acts on genes through sets alone;
genes in no set are reconstructed by their bias, which is their training mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aeflow.keywords import Size
from aeflow.models.base import AbstractAutoencoder, AbstractExporting, AbstractLayered, Batch, Losses
from aeflow.models.parts.layers import Activation, MaskedLinear, mlp, new_activation
from aeflow.models.parts.losses import squared_error


class GSAE(AbstractAutoencoder, AbstractExporting, AbstractLayered):
    """Genes -> gene sets (masked) -> supersets -> gene sets -> genes (masked)."""

    def __init__(self, n_vars: int, *, mask: Tensor, n_latent: Size = 32, activation: Activation = "tanh"):
        super().__init__()
        if mask.shape[0] != n_vars:
            raise ValueError(f"gsae: the mask has {mask.shape[0]} genes, the data {n_vars}")
        mask = mask.float()
        n_sets = mask.shape[1]
        self.n_latent = n_latent
        self.genes_to_sets = nn.Sequential(MaskedLinear(mask), new_activation(activation))
        self.sets_to_supersets = mlp([n_sets, n_latent], activation, activate_last=True)
        self.supersets_to_sets = mlp([n_latent, n_sets], activation, activate_last=True)
        self.sets_to_genes = MaskedLinear(mask.T)
        self.register_buffer("mask", mask)

    def stages(self) -> list[tuple[nn.Module, nn.Module]]:
        return [(self.genes_to_sets, self.sets_to_genes), (self.sets_to_supersets, self.supersets_to_sets)]

    def exports(self, batch: Batch) -> dict[str, Tensor]:
        return {"gene_set_activity": self.gene_set_activity(batch)}

    def gene_set_activity(self, batch: Batch) -> Tensor:
        """Return the activity of each gene-set node (B, n_sets)."""
        return self.genes_to_sets(batch.x)

    def encode(self, batch: Batch) -> Tensor:
        return self.sets_to_supersets(self.gene_set_activity(batch))  # (B, L)

    def decode(self, z: Tensor, batch: Batch) -> Tensor:
        return self.sets_to_genes(self.supersets_to_sets(z))  # (B, D)

    def losses(self, batch: Batch) -> Losses:
        reconstruction = squared_error(batch.x, self.decode(self.encode(batch), batch))
        return Losses(reconstruction, torch.zeros_like(reconstruction))

"""A conditional autoencoder that reads every row with its study and decodes it as a row of the reference.

    (x - mu) / s = V t + r                        V: `n_components` principal directions, each study weighs the same
    z = enc(t, study),  t_hat = dec(z, study)     one hidden layer of tanh each; the study enters as one-hot
    loss = mean |t - t_hat|^2 + match MMD^2(z | studies)            each study weighs the same
    x* = mu + s (V dec(z, reference) + keep (e_ref / e_b) (V (t - t_hat) + r))

Because the decoder is told the study, z need not carry it; the maximum mean discrepancy makes it not. What the
autoencoder does not explain is left to the share `keep`, scaled so that it is as large in each study: e_b is the root
median square of the residual of rows that an autoencoder of another inner fold never saw. Rows of the reference are
decoded, too, so every study loses the same detail; tumour detection has to be measured beside the probe.

Sohn, Lee & Yan (2015), NeurIPS 28 (conditional autoencoders); Lotfollahi et al. (2020), Bioinformatics 36:i610-i617
(MMD between conditions); Gretton et al. (2012), JMLR 13:723-773, eq. 5 (its estimate). What differs: no likelihood and
no noise, principal components for input, the MMD on the code, the residual. Needs equal margins: it follows `zscore`.
"""

from __future__ import annotations

import numpy as np

from aeflow.correction.alignment import N_FOLDS, components, fewer
from aeflow.correction.correction import Correction, check_fit, check_reference, encode_labels
from aeflow.errors import ConfigError, DataError
from aeflow.keywords import Count, Share, Size, Weight

LEARNING_RATE, WEIGHT_DECAY = 1e-2, 1e-3  # few rows: full batches, and weights that are held small
WIDTHS = (0.5, 1.0, 2.0)  # of the kernel, in units of the median distance of codes


class ConditionalAE(Correction):
    """Conditional autoencoder of principal components, decoded into the reference study."""

    @classmethod
    def fit(
        cls,
        X,
        batch,
        tissue=None,
        *,
        reference: str,
        n_components: Size = 20,
        n_latent: Size = 10,
        n_hidden: Size = 32,
        match: Weight = 10.0,
        keep: Share = 0.15,
        n_steps: Size = 300,
        seed: Count = 0,
    ):
        """Fit on X (n_fit, n_vars).

        Parameters
        ----------
        reference : study that every row is decoded into.
        n_components : k, lowered (and logged) to what the rows of an inner fold span, and to n_vars.
        n_latent, n_hidden : widths of code and hidden layers.
        match : weight of the MMD, 0 or more.
        keep : share of the residual that is left, 0 to 1.
        n_steps : steps of Adam on all rows at once.
        seed : of the initial weights.
        """
        X, batch, _ = check_fit(X, batch, tissue, cls.name)
        batches = sorted(set(batch))
        check_reference(reference, batches, cls.name)
        if reference is None:
            raise ConfigError(f"correct: {cls.name} reference None: name the study to decode into")
        sizes = {"n_components": n_components, "n_latent": n_latent, "n_hidden": n_hidden, "n_steps": n_steps}
        for key, value in sizes.items():
            if value < 1:
                raise ConfigError(f"correct: {cls.name} {key} {value!r} must be at least 1")
        if match < 0:
            raise ConfigError(f"correct: {cls.name} match {match!r} must not be negative")
        if not 0 <= keep <= 1:
            raise ConfigError(f"correct: {cls.name} keep {keep!r} must be between 0 and 1")
        label = np.searchsorted(batches, batch.astype(str))
        counts = np.bincount(label)
        if counts.min() < 4:
            raise DataError(
                f"correction {cls.name}: needs 4 rows of every batch, found {counts.min()} of "
                f"{batches[counts.argmin()]!r}"
            )
        scale = X.std(0)
        scale = np.where(scale > 1e-6, scale, np.inf)  # constants: no part in components or residual
        mu = X.mean(0)
        Z = (X - mu) / scale
        settings = (n_latent, n_hidden, float(match), n_steps, seed)
        fold = np.empty(len(X), dtype=int)  # inner folds, each with its share of every study
        for i in range(len(batches)):
            fold[label == i] = np.arange(counts[i]) % N_FOLDS
        n_least = int(min((fold != i).sum() for i in range(N_FOLDS)))
        k = fewer(n_components, min(n_least - 1, X.shape[1]), cls.name)
        energy = np.empty(len(X))
        for i in range(N_FOLDS):
            held = fold == i
            if held.any():
                net = _train(Z[~held], label[~held], k, settings)
                energy[held] = ((Z[held] - _decode(net, Z[held], label[held], label[held])) ** 2).sum(1)
        size = np.sqrt(np.maximum([np.median(energy[label == i]) for i in range(len(batches))], 1e-12))
        index = batches.index(reference)
        arrays = _train(Z, label, k, settings)
        arrays |= {"mu": mu, "scale": scale, "reference": np.array(index), "residual": keep * size[index] / size}
        return cls(arrays | {"batches": encode_labels(batches), "n_vars": np.array(X.shape[1])})

    def _apply(self, X, batch, tissue):
        s = self.arrays
        label = np.searchsorted(self.batches, batch.astype(str))
        Z = (X - s["mu"]) / s["scale"]
        rest = (Z - _decode(s, Z, label, label)) * s["residual"][label][:, None]
        out = _decode(s, Z, label, np.full(len(X), int(s["reference"]))) + rest
        finite = np.isfinite(s["scale"])
        X[:, finite] = (out * np.where(finite, s["scale"], 0.0) + s["mu"])[:, finite]
        return X


def _decode(net: dict[str, np.ndarray], Z: np.ndarray, label: np.ndarray, into: np.ndarray) -> np.ndarray:
    """Return Z (n, n_vars) of studies `label`, encoded and decoded as rows of studies `into`; indices (n,)."""
    one_hot = np.eye(len(net["enc0"]) - net["V"].shape[1])
    t = (Z - net["offset"]) @ net["V"] / net["spread"]
    z = np.tanh(np.hstack([t, one_hot[label]]) @ net["enc0"]) @ net["enc1"]
    t_hat = np.tanh(np.hstack([z, one_hot[into]]) @ net["dec0"]) @ net["dec1"]
    return (t_hat * net["spread"]) @ net["V"].T + net["offset"]


def _train(Z: np.ndarray, label: np.ndarray, k: int, settings: tuple) -> dict[str, np.ndarray]:
    """Return components and weights of the autoencoder trained on Z (n, n_vars), as arrays."""
    import torch

    n_latent, n_hidden, match, n_steps, seed = settings
    offset = Z.mean(0)
    V = components(Z - offset, label, k)
    T = (Z - offset) @ V
    spread = np.full(k, max(float(T.std()), 1e-6))  # one number: a leading component stays the leading one
    n_batches = int(label.max()) + 1
    t = torch.tensor(T / spread)
    one_hot = torch.eye(n_batches, dtype=torch.float64)[torch.tensor(label)]
    weight = torch.tensor(1.0 / (np.bincount(label)[label] * n_batches))
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "enc0": (k + n_batches, n_hidden),
        "enc1": (n_hidden, n_latent),
        "dec0": (n_latent + n_batches, n_hidden),
        "dec1": (n_hidden, k),
    }
    w = {
        key: (torch.randn(shape, generator=generator, dtype=torch.float64) / shape[0] ** 0.5).requires_grad_()
        for key, shape in shapes.items()
    }
    adam = torch.optim.Adam(w.values(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(n_steps):
        z = torch.tanh(torch.hstack([t, one_hot]) @ w["enc0"]) @ w["enc1"]
        t_hat = torch.tanh(torch.hstack([z, one_hot]) @ w["dec0"]) @ w["dec1"]
        loss = (weight * ((t - t_hat) ** 2).sum(1)).sum()
        if match:
            loss = loss + match * k * mmd(z, one_hot)
        adam.zero_grad()
        loss.backward()
        adam.step()
    return {key: value.detach().numpy() for key, value in w.items()} | {"V": V, "offset": offset, "spread": spread}


def mmd(z, one_hot):
    """Return the squared MMD of codes z (n, n_latent), summed over pairs of studies; biased estimate, Gaussian kernel.

    With m_b the mean embedding of study b: sum over pairs of |m_a - m_b|^2. Gretton et al. (2012), eq. 5.
    """
    import torch

    distance = ((z[:, None] - z) ** 2).sum(2)
    width = distance.detach().median().clamp_min(1e-12)
    kernel = sum(torch.exp(-distance / (width * factor)) for factor in WIDTHS) / len(WIDTHS)
    share = one_hot / one_hot.sum(0)
    gram = share.T @ kernel @ share  # (n_batches, n_batches) inner products of mean embeddings
    norms = gram.diagonal()
    return (norms[:, None] + norms - 2 * gram).sum() / 2

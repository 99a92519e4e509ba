"""Blocks of fully connected and convolutional networks: shapes, mirrors and initial weights."""

import pytest
import torch
from torch import nn

from aeflow.models.build import build
from aeflow.models.parts import networks


@pytest.mark.parametrize("network", ["mlp", "conv"])
@pytest.mark.parametrize("side", [28, 27, 7, 9])
@pytest.mark.parametrize("n_hidden", [(), (5,), (6, 4), (6, 5, 4)])
def test_encoder_and_decoder_have_inverse_shapes(network, side, n_hidden):
    """Breaks if a side that does not halve evenly (7 -> 4) comes back as another one (8)."""
    n_vars = side**2
    encoder = networks.encoder(n_vars, n_hidden, 3, network=network)
    decoder = networks.decoder(3, n_hidden[::-1], n_vars, network=network)
    x = torch.rand(2, n_vars)
    z = encoder(x)
    assert z.shape == (2, 3)
    assert decoder(z).shape == x.shape


def test_sides_halve_and_round_up():
    """Breaks if 28 -> 14 -> 7 -> 4 is not what three convolutions give, or a pooled pixel is lost."""
    blocks, width = networks.trunk(28**2, (2, 3, 5), network="conv", activation="relu")
    h, shapes = torch.rand(1, 28**2), []
    for block in blocks:
        h = block(h)
        shapes.append(tuple(h.shape[1:]))
    assert shapes == [(2, 14, 14), (3, 7, 7), (5, 4, 4)]
    assert width == 5 * 4 * 4


@pytest.mark.parametrize(("network", "n_vars"), [("mlp", 30), ("conv", 28**2), ("conv", 81)])
@pytest.mark.parametrize("n_hidden", [(), (6,), (6, 4), (6, 5, 4)])
def test_stages_undo_each_other(network, n_vars, n_hidden):
    """Breaks if block i of the encoder is paired with a decoder block of other shapes: pretraining could not run."""
    encoder = networks.encoder(n_vars, n_hidden, 3, network=network)
    decoder = networks.decoder(3, n_hidden[::-1], n_vars, network=network)
    stages = networks.stages(encoder, decoder)
    assert len(stages) == len(n_hidden) + 1
    h = torch.rand(2, n_vars)
    for encode, decode in stages:
        code = encode(h)
        assert decode(code).flatten(1).shape == h.flatten(1).shape
        h = code
    assert h.shape == (2, 3)


def test_networks_of_different_depth_have_no_stages():
    """Breaks if blocks that do not belong together are paired."""
    assert networks.stages(networks.encoder(8, (4,), 2), networks.decoder(2, (3, 4), 8)) == []


def test_only_hidden_blocks_are_activated():
    """Breaks if outputs or latents cannot be negative, or `activate_last` is not heard."""
    x = torch.randn(500, 8)
    torch.manual_seed(0)
    assert (networks.encoder(8, (6,), 2)(x) < 0).any()
    assert (networks.decoder(8, (6,), 2)(x) < 0).any()
    assert (networks.encoder(8, (6,), 2, activate_last=True)(x) >= 0).all()
    assert (networks.trunk(8, (6,), network="mlp", activation="relu")[0][0](x) >= 0).all()


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_bias_and_dropout(network):
    """Breaks if `bias: false` leaves one behind, or dropout acts on outputs or in evaluation."""
    shared = {"network": network, "bias": False, "dropout": 0.5}
    torch.manual_seed(0)
    encoder, decoder = networks.encoder(36, (8, 4), 2, **shared), networks.decoder(2, (4, 8), 36, **shared)
    for net, n_dropouts in ((encoder, 2), (decoder, 2)):
        assert all(getattr(layer, "bias", None) is None for layer in net.modules())
        assert sum(isinstance(layer, nn.Dropout) for layer in net.modules()) == n_dropouts
        assert not any(isinstance(layer, nn.Dropout) for layer in net[-1])
    x = torch.rand(3, 36)
    assert not torch.equal(encoder(x), encoder(x))
    assert torch.equal(encoder.eval()(x), encoder(x))


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_initial_weights_are_xavier_uniform(network):
    """Breaks if a layer keeps PyTorch's own start: bound sqrt(6 / (fan_in + fan_out)), biases zero."""
    torch.manual_seed(0)
    modules = [
        networks.encoder(28**2, (16, 8), 4, network=network),
        networks.decoder(4, (8, 16), 28**2, network=network),
    ]
    weighted = [
        m for net in modules for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert len(weighted) == 6
    for layer in weighted:
        fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
        bound = (6 / (fan_in + fan_out)) ** 0.5
        assert 0.9 * bound < layer.weight.abs().max().item() <= bound
        assert not layer.bias.any()


@pytest.mark.parametrize(
    ("n_vars", "network", "message"), [(10, "conv", "10 variables are no square"), (9, "rnn", "'rnn' does not exist")]
)
def test_impossible_networks_are_refused(n_vars, network, message):
    """Breaks if genes are folded into an image, or a typo into another network."""
    for make in (networks.encoder, lambda n, hidden, k, network: networks.decoder(k, hidden, n, network=network)):
        with pytest.raises(ValueError, match=message):
            make(n_vars, (4,), 2, network=network)


SEED = {"n_hidden": [400, 200, 100, 40, 20], "n_latent": 4, "bias": False, "dropout": 0.25, "likelihood": "gaussian"}


@pytest.mark.parametrize(("architecture", "n_covariates"), [("vae.VAE", None), ("cvae.CVAE", 3)])
def test_variational_models_take_what_the_autoencoder_takes(architecture, n_covariates):
    """Breaks if width, bias or dropout of a variational model differ from what its configuration says."""
    model = build(architecture, 50, SEED, n_covariates=n_covariates)
    extra = n_covariates or 0
    maps = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    widths = [(layer.in_features, layer.out_features) for layer in maps]
    down = [(50 + extra, 400), (400, 200), (200, 100), (100, 40), (40, 20), (20, 8)]
    up = [(4 + extra, 20), (20, 40), (40, 100), (100, 200), (200, 400), (400, 50)]
    assert widths == down + up
    assert all(layer.bias is None for layer in maps)
    drops = [layer.p for layer in model.modules() if isinstance(layer, nn.Dropout)]
    assert drops == [0.25] * 10  # after every hidden layer, never on latents or the output


@pytest.mark.parametrize(("architecture", "n_covariates"), [("vae.VAE", None), ("cvae.CVAE", 3)])
def test_a_decoder_of_its_own_has_no_mirrored_stages(architecture, n_covariates):
    """Breaks if layers that do not undo each other are paired for pretraining or hidden-activation scores."""
    model = build(architecture, 50, {"n_hidden": [30], "n_hidden_decoder": [20, 10], "n_latent": 4}, None, n_covariates)
    assert [layer.out_features for layer in model.decoder.modules() if isinstance(layer, nn.Linear)] == [20, 10, 50]
    assert model.stages() == []

"""The contract every model keeps, run over every model of every configuration."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from aeflow.checkpoint import save_tensors
from aeflow.config import hyperparameters
from aeflow.errors import DataError
from aeflow.files import write_json
from aeflow.models.base import AbstractAutoencoder, AbstractClosedForm, Batch
from aeflow.models.build import build, load_model
from aeflow.modules import class_info
from aeflow.training import TrainingSettings, fit

CONFIGS = sorted((Path(__file__).parents[1] / "config").glob("*.yaml"))
N_VARS, N_OBS = 30, 203  # not divisible by any batch size used here


def all_models() -> dict[str, tuple[str, dict]]:
    found = {}
    for path in CONFIGS:
        config = yaml.safe_load(path.read_text())
        for name, entry in config.get("models", {}).items():
            small = hyperparameters(name, config) | {"n_latent": 3}
            if "n_hidden" in small:
                small["n_hidden"] = [12 for _ in small["n_hidden"]]
            if (entry["architecture"], small) not in found.values():  # the same at this size
                found[f"{name}-{path.stem}"] = (entry["architecture"], small)
    return found


MODELS = all_models()


def models_that(base: str, *, are: bool = True) -> list[str]:
    """Names of the models with a capability, or without it."""
    return sorted(name for name, (architecture, _) in MODELS.items() if (base in class_info(architecture).bases) == are)


def make(name: str, seed: int = 0) -> AbstractAutoencoder:
    architecture, keywords = MODELS[name]
    mask = None
    if "mask" in class_info(architecture).keywords:
        mask = (torch.rand(N_VARS, 8, generator=torch.Generator().manual_seed(1)) < 0.4).float()
    torch.manual_seed(seed)
    return build(architecture, N_VARS, keywords, mask)


def rows(n: int = N_OBS, seed: int = 0) -> torch.Tensor:
    """Low-rank rows in (0, 1), which every model accepts."""
    rng = np.random.default_rng(seed)
    loadings = np.random.default_rng(99).normal(size=(3, N_VARS))
    return torch.from_numpy(1 / (1 + np.exp(-(rng.normal(size=(n, 3)) @ loadings)))).float()


SETTINGS = TrainingSettings(max_epochs=15, batch_size=32, learning_rate=3e-3, patience=15)


@pytest.fixture(params=sorted(MODELS))
def name(request) -> str:
    return request.param


def test_shapes_and_finite_losses(name):
    """Breaks if a loss is averaged, misses the batch axis, or is not finite."""
    model, x = make(name), rows(7)
    if isinstance(model, AbstractClosedForm):
        model.solve(rows())
    batch = Batch(x, torch.Generator().manual_seed(0))
    z = model.encode(batch)
    assert z.shape == (7, model.n_latent)
    assert model.decode(z, batch).shape == x.shape
    for part in model.losses(batch):
        assert part.shape == (7,)
        assert part.isfinite().all()


def test_losses_are_per_observation(name):
    """Breaks if one observation's loss depends on the others in its batch."""
    model = make(name).eval()
    if isinstance(model, AbstractClosedForm):
        model.solve(rows())
    x, other = rows(6), rows(6, 8)
    other[0] = x[0]
    for a, b in zip(
        model.losses(Batch(x, torch.Generator().manual_seed(0))),
        model.losses(Batch(other, torch.Generator().manual_seed(0))),
        strict=True,
    ):
        assert torch.allclose(a[0], b[0], rtol=1e-5)


@pytest.mark.parametrize("name", models_that("AbstractClosedForm", are=False))
def test_every_parameter_has_a_gradient(name):
    """Breaks if a layer is not part of the loss."""
    model = make(name)
    sum(part.sum() for part in model.losses(Batch(rows()))).backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_loss_falls(name):
    """Breaks if training does not train."""
    model = make(name)
    before = model.losses(Batch(rows(), torch.Generator().manual_seed(0)))
    fit(model, rows(), rows(50, 1), SETTINGS, seed=0)
    after = model.losses(Batch(rows(), torch.Generator().manual_seed(0)))
    # the cross-entropy of grey values has a floor far above 0, so the fall is small beside it
    assert sum(p.mean() for p in after) < 0.97 * sum(p.mean() for p in before)


def test_same_seed_same_weights(name):
    """Breaks if any draw comes from elsewhere than the seeded generators."""
    states = []
    for _ in range(2):
        model = make(name)
        fit(model, rows(), rows(50, 1), SETTINGS, seed=4)
        states.append(model.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))


def test_save_and_load(name, tmp_path):
    """Breaks if a file misses part of what decides the output."""
    model = make(name)
    fit(model, rows(), rows(50, 1), SETTINGS, seed=0)
    architecture, keywords = MODELS[name]
    save_tensors(model.state_dict(), tmp_path / "w.safetensors")
    write_json({"architecture": architecture, "n_vars": N_VARS, "hyperparameters": keywords}, tmp_path / "m.json")
    loaded = load_model(tmp_path / "w.safetensors", tmp_path / "m.json", torch.device("cpu"))
    batch = Batch(rows(9, 2))
    assert torch.equal(model.eval().encode(batch), loaded.encode(batch))
    assert torch.equal(model.decode(model.encode(batch), batch), loaded.decode(loaded.encode(batch), batch))


@pytest.mark.parametrize("name", models_that("AbstractGenerative"))
def test_generate(name):
    """Breaks if draws have the wrong shape, ignore the generator, or equal their noiseless means."""
    model = make(name)
    fit(model, rows(), rows(50, 1), SETTINGS, seed=0)
    draw = lambda noise, seed: model.generate(11, torch.Generator().manual_seed(seed), noise=noise)  # noqa: E731
    assert draw(True, 0).shape == (11, N_VARS)
    assert torch.equal(draw(True, 0), draw(True, 0))
    assert not torch.equal(draw(True, 0), draw(True, 1))
    assert not torch.equal(draw(True, 0), draw(False, 0))


@pytest.mark.parametrize("name", models_that("AbstractDensity"))
def test_likelihood_bound_tightens(name):
    """Breaks if importance weights are wrong: one draw is the negative loss on average, more draws only raise it."""
    model = make(name)
    fit(model, rows(), rows(50, 1), SETTINGS, seed=0)
    batch = Batch(rows(40, 5), torch.Generator().manual_seed(0))
    with torch.no_grad():
        one = torch.stack([model.log_likelihood(batch, 1) for _ in range(300)]).mean().item()
        many = model.log_likelihood(batch, 300).mean().item()
        elbo = -torch.stack([sum(model.losses(batch)) for _ in range(300)]).mean().item()
    if isinstance(model, AbstractClosedForm):
        assert many == pytest.approx(one)
    else:
        assert one == pytest.approx(elbo, rel=0.02)
        assert many > one


def test_bernoulli_refuses_data_outside_its_support():
    """Breaks if a Bernoulli likelihood is trained on standardised expression."""
    model = build("vae.VAE", N_VARS, {"likelihood": "bernoulli"})
    with pytest.raises(DataError, match=r"\[0, 1\], found \[-"):
        fit(model, rows() - 1, rows(), SETTINGS, seed=0)


def test_pca_equals_scikit_learn():
    """Breaks if components, latents or the probabilistic density differ from the reference implementation."""
    from sklearn.decomposition import PCA

    x = rows(150).double().float()
    model = build("pca.PCA", N_VARS, {"n_latent": 3})
    model.solve(x)
    reference = PCA(n_components=3, svd_solver="full").fit(x.double().numpy())
    assert np.allclose(np.abs(model.components.numpy() @ reference.components_.T), np.eye(3), atol=1e-4)
    assert np.allclose(model.eigenvalues.numpy(), reference.explained_variance_, rtol=1e-4)
    log_px = model.log_likelihood(Batch(rows(20, 7)), 1).numpy()
    assert np.allclose(log_px, reference.score_samples(rows(20, 7).double().numpy()), rtol=1e-4)


def test_pca_wide_and_tall_agree():
    """Breaks if the route over observations (more variables than rows) differs from the one over variables."""
    x = rows(25)  # fewer rows than variables
    wide = build("pca.PCA", N_VARS, {"n_latent": 3})
    wide.solve(x)
    _, _, vt = np.linalg.svd((x - x.mean(0)).double().numpy(), full_matrices=False)
    assert np.allclose(np.abs(wide.components.numpy() @ vt[:3].T), np.eye(3), atol=1e-4)


def test_pca_refuses_more_latents_than_rank():
    """Breaks if meaningless components are returned silently."""
    with pytest.raises(DataError, match="n_latent 10 exceeds the rank 4"):
        build("pca.PCA", N_VARS, {"n_latent": 10}).solve(rows(5))


def test_gsae_gene_reaches_only_its_sets():
    """Breaks if the mask leaks: a gene in no set must not change any latent, a gene in one set only that set."""
    mask = torch.zeros(N_VARS, 2)
    mask[:10, 0] = 1
    mask[5:20, 1] = 1
    model = build("gsae.GSAE", N_VARS, {"n_latent": 2}, mask)
    fit(model, rows(), rows(50, 1), SETTINGS, seed=0)
    x = rows(1)
    base = model.gene_set_activity(Batch(x))
    for gene, reached in ((0, [True, False]), (7, [True, True]), (15, [False, True]), (25, [False, False])):
        changed = x.clone()
        changed[0, gene] += 1
        assert ((model.gene_set_activity(Batch(changed)) - base).abs()[0] > 0).tolist() == reached
    z = model.encode(Batch(x))
    assert torch.allclose(model.decode(z, Batch(x))[0, 20:], model.decode(z + 1, Batch(x))[0, 20:])

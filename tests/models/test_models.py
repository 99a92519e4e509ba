"""The contract every model keeps, run over every model of every configuration."""

import copy
import functools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aeflow.errors import DataError
from aeflow.files import write_json
from aeflow.models.base import AbstractAutoencoder, AbstractClosedForm, AbstractPrepared, Batch
from aeflow.models.build import build, load_model
from aeflow.plan.cells import hyperparameters
from aeflow.plan.source_code import class_info
from aeflow.training.checkpoint import save_tensors
from aeflow.training.fit import TrainingSettings, fit
from aeflow.training.pretrain import pretrain

CONFIGS = sorted((Path(__file__).parents[2] / "config").glob("*.yaml"))
N_VARS, N_OBS = 36, 203  # a square, for images; rows not divisible by any batch size used here
N_CLASSES = 3
FAST = {"n_generate": 5, "n_profile": 20}


def all_models() -> dict[str, tuple[str, dict]]:
    found = {}
    for path in CONFIGS:
        config = yaml.safe_load(path.read_text())
        for name, entry in config.get("models", {}).items():
            known = class_info(entry["architecture"]).keywords
            small = hyperparameters(name, config) | ({"n_latent": 3} if "n_latent" in known else {})
            for key in ("n_hidden", "n_hidden_decoder"):
                if small.get(key):
                    small[key] = [12 if small.get("network") != "conv" else 4 for _ in small[key]]
            small |= {key: value for key, value in FAST.items() if key in known}
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
    return build(architecture, N_VARS, keywords, mask, N_CLASSES if conditional(name) else None)


def conditional(name: str) -> bool:
    return "n_covariates" in class_info(MODELS[name][0]).keywords


def rows(n: int = N_OBS, seed: int = 0) -> torch.Tensor:
    """Low-rank rows in (0, 1), which every model but those of counts accepts."""
    rng = np.random.default_rng(seed)
    loadings = np.random.default_rng(99).normal(size=(3, N_VARS))
    return torch.from_numpy(1 / (1 + np.exp(-(rng.normal(size=(n, 3)) @ loadings)))).float()


def batch_for(name: str, n: int = N_OBS, seed: int = 0, draws: int | None = None) -> Batch:
    """Rows that a model takes: counts for count models, and classes for conditional ones."""
    x = rows(n, seed)
    if MODELS[name][0].split(".")[0] in ("zinb_vae", "nb_means"):
        x = torch.poisson(60 * x.square(), generator=torch.Generator().manual_seed(seed))
    c = torch.eye(N_CLASSES)[torch.arange(n) % N_CLASSES] if conditional(name) else None
    return Batch(x, None if draws is None else torch.Generator().manual_seed(draws), c)


def train_anew(name: str) -> AbstractAutoencoder:
    model, train, val = make(name), batch_for(name), batch_for(name, 50, 1)
    fit(model, train.x, val.x, SETTINGS, seed=4, c_train=train.covariates, c_val=val.covariates)
    return model


train_once = functools.cache(train_anew)


def trained(name: str) -> AbstractAutoencoder:
    """A model of a test's own; all tests share its training."""
    return copy.deepcopy(train_once(name))


def ready(name: str) -> AbstractAutoencoder:
    """A new model that knows what it takes from the training rows before its first step."""
    model, train = make(name), batch_for(name)
    if isinstance(model, AbstractPrepared):
        model.prepare(train.x, train.covariates)
    if isinstance(model, AbstractClosedForm):
        model.solve(train.x)
    return model


SETTINGS = TrainingSettings(max_epochs=15, batch_size=32, learning_rate=3e-3, patience=15)


@pytest.fixture(params=sorted(MODELS))
def name(request) -> str:
    return request.param


def test_shapes_and_finite_losses(name):
    """Breaks if a loss is averaged, misses the batch axis, or is not finite."""
    model, batch = ready(name), batch_for(name, 7, draws=0)
    z = model.encode(batch)
    assert z.shape == (7, model.n_latent)
    assert model.decode(z, batch).shape == batch.x.shape
    for part in model.losses(batch):
        assert part.shape == (7,)
        assert part.isfinite().all()


def test_losses_are_per_observation(name):
    """Breaks if one observation's loss depends on the others in its batch."""
    model = ready(name).eval()
    batch, other = batch_for(name, 6, draws=0), batch_for(name, 6, 8, draws=0)
    other.x[0] = batch.x[0]
    for a, b in zip(model.losses(batch), model.losses(other), strict=True):
        assert torch.allclose(a[0], b[0], rtol=1e-5)


@pytest.mark.parametrize("name", models_that("AbstractClosedForm", are=False))
def test_every_parameter_has_a_gradient(name):
    """Breaks if a layer is not part of the loss."""
    model = ready(name)
    sum(part.sum() for part in model.losses(batch_for(name))).backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize("name", models_that("AbstractClosedForm", are=False))
def test_loss_falls(name):
    """Breaks if training does not train."""
    before = [part.mean() for part in ready(name).eval().losses(batch_for(name, draws=0))]
    after = [part.mean() for part in trained(name).eval().losses(batch_for(name, draws=0))]
    # the cross-entropy of grey values has a floor far above 0, so the fall is small beside it
    assert sum(after) < 0.998 * sum(before)


def test_same_seed_same_weights(name):
    """Breaks if any draw comes from elsewhere than the seeded generators."""
    states = [model.state_dict() for model in (trained(name), train_anew(name))]
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))


def test_save_and_load(name, tmp_path):
    """Breaks if a file misses part of what decides the output."""
    model, batch = trained(name), batch_for(name, 9, 2)
    architecture, keywords = MODELS[name]
    save_tensors(model.state_dict(), tmp_path / "w.safetensors")
    info = {"architecture": architecture, "n_vars": N_VARS, "hyperparameters": keywords}
    info["n_covariates"] = N_CLASSES if conditional(name) else None
    write_json(info, tmp_path / "m.json")
    loaded = load_model(tmp_path / "w.safetensors", tmp_path / "m.json", torch.device("cpu"))
    assert torch.equal(model.eval().encode(batch), loaded.encode(batch))
    assert torch.equal(model.decode(model.encode(batch), batch), loaded.decode(loaded.encode(batch), batch))


@pytest.mark.parametrize("name", models_that("AbstractGenerative"))
def test_generate(name):
    """Breaks if draws have the wrong shape, ignore the generator, or equal their noiseless means."""
    model, c = trained(name).eval(), batch_for(name, 11).covariates

    def draw(noise: bool, seed: int) -> torch.Tensor:
        with torch.no_grad():
            return model.generate(11, torch.Generator().manual_seed(seed), noise=noise, covariates=c)

    assert draw(True, 0).shape == (11, N_VARS)
    assert torch.equal(draw(True, 0), draw(True, 0))
    assert not torch.equal(draw(True, 0), draw(True, 1))
    assert not torch.equal(draw(True, 0), draw(False, 0))


@pytest.mark.parametrize("name", models_that("AbstractDensity"))
def test_likelihood_bound_tightens(name):
    """Breaks if importance weights are wrong: one draw is the negative loss on average, more draws only raise it."""
    model, batch = trained(name).eval(), batch_for(name, 40, 5, draws=0)
    if getattr(model, "binarise", False):
        batch = batch._replace(x=batch.x.round())  # bits stay as they are: all three bounds are of the same rows
    with torch.no_grad():
        one = torch.stack([model.log_likelihood(batch, 1) for _ in range(300)]).mean().item()
        many = model.log_likelihood(batch, 10 * max(30, getattr(model, "n_draws", 1))).mean().item()
        elbo = -torch.stack([sum(model.losses(batch)) for _ in range(300)]).mean().item()
    if isinstance(model, AbstractClosedForm):
        assert many == pytest.approx(one)
    elif getattr(model, "objective", "elbo") == "iwae":
        assert many >= elbo > one
    else:
        assert one == pytest.approx(elbo, rel=0.02)
        assert many > one


@pytest.mark.parametrize("name", models_that("AbstractLayered"))
def test_pretraining_reaches_every_layer(name):
    """Breaks if a stage does not fit its neighbour, or pretraining leaves the weights as they were."""
    model, batch = ready(name), batch_for(name)
    stages = model.stages()
    assert stages
    before = [p.detach().clone() for e, d in stages for p in (*e.parameters(), *d.parameters())]
    keywords = {"batch_size": 50, "learning_rate": 3e-3, "seed": 0}
    one = pretrain(model, batch.x, batch.covariates, epochs=1, **keywords)
    more = pretrain(model, batch.x, batch.covariates, epochs=10, **keywords)
    assert len(one) == len(stages) and more[0] < one[0]  # deeper targets change as the layers below are trained
    after = [p for e, d in stages for p in (*e.parameters(), *d.parameters())]
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True) if b.ndim > 1)


@pytest.mark.parametrize("name", models_that("AbstractExporting"))
def test_exports_have_a_row_per_observation_or_variable(name):
    """Breaks if an export cannot be named by the samples or variables it belongs to."""
    model, batch = trained(name), batch_for(name, 9, 2)
    with torch.no_grad():
        of_rows, of_variables = model.exports(batch), model.variable_exports()
    assert of_rows or of_variables
    assert all(len(matrix) == 9 and matrix.isfinite().all() for matrix in of_rows.values())
    assert all(len(matrix) == N_VARS and matrix.isfinite().all() for matrix in of_variables.values())


@pytest.mark.parametrize("case", ["latent as wide as the input", "one latent", "one row", "constant columns", "zeros"])
def test_degenerate_settings_train(name, case):
    """Breaks if a division by a variance, a rank or a library size of zero makes a loss infinite."""
    architecture, keywords = MODELS[name]
    widths = {"latent as wide as the input": N_VARS, "one latent": 1}
    if case in widths and "n_latent" in keywords:
        keywords = keywords | {"n_latent": widths[case]}
    mask = torch.ones(N_VARS, 2) if "mask" in class_info(architecture).keywords else None
    model = build(architecture, N_VARS, keywords, mask, N_CLASSES if conditional(name) else None)
    train, val = batch_for(name), batch_for(name, 50, 1)
    if case == "one row":
        train = Batch(train.x[:1], None, None if train.covariates is None else train.covariates[:1])
    if case == "constant columns":
        train.x[:, ::2] = val.x[:, ::2] = 1.0
    if case == "zeros":
        train.x[:] = val.x[:] = 0.0
    settings = TrainingSettings(max_epochs=2, batch_size=64)
    try:
        fit(model, train.x, val.x, settings, seed=0, c_train=train.covariates, c_val=val.covariates)
    except DataError as error:  # PCA of fewer rows than latents has no answer, and says so
        assert "exceeds the rank" in str(error) or "1 training rows have no principal component" in str(error)
        return
    assert all(part.isfinite().all() for part in model.eval().losses(val._replace(generator=torch.Generator())))


@pytest.mark.parametrize("name", models_that("AbstractClosedForm", are=False))
def test_extreme_learning_rate_is_reported(name):
    """Breaks if a diverged model is returned as trained: it raises, naming the epoch, or its loss stays finite."""
    model, train, val = make(name), batch_for(name), batch_for(name, 50, 1)
    settings = TrainingSettings(max_epochs=4, batch_size=64, learning_rate=1e30, clip_norm=0)
    try:
        history, _ = fit(model, train.x, val.x, settings, seed=0, c_train=train.covariates, c_val=val.covariates)
    except FloatingPointError as error:
        assert re.search(r"epoch \d+.*batch \d+ of 4|epoch \d+: validation", str(error))
    else:
        assert np.isfinite(history.to_numpy()).all()


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


@settings(max_examples=40)
@given(
    st.integers(2, 12),
    st.integers(1, 4),
    st.integers(3, 30),
    st.floats(1e-3, 1e3),
    st.floats(0, 1e3),
    st.integers(0, 999),
)
def test_pca_is_orthonormal_up_to_the_rank_and_refused_beyond(n_different, copies, n_vars, scale, offset, seed):
    """Breaks if repeated rows give directions that are not orthogonal, or rows of full rank are refused."""
    rng = np.random.default_rng(seed)
    x = torch.from_numpy((offset + scale * rng.normal(size=(n_different, n_vars))).astype(np.float32))
    x = x.repeat(copies, 1)
    rank = min(n_different - 1, n_vars)
    model = build("pca.PCA", n_vars, {"n_latent": rank})
    model.solve(x)
    v = model.components.double()
    assert torch.allclose(v @ v.T, torch.eye(rank, dtype=torch.float64), atol=1e-4)
    with pytest.raises(DataError, match=f"n_latent {rank + 1} exceeds the rank {rank} of {len(x)} training rows"):
        build("pca.PCA", n_vars, {"n_latent": rank + 1}).solve(x)


@pytest.mark.parametrize("n_vars", [12, 50])  # by variables, by rows
@pytest.mark.parametrize("case", ["repeated rows", "constant variables", "mixtures of six rows"])
def test_pca_knows_the_rank_of_its_rows(case, n_vars):
    """Breaks if rows that differ in five directions are given six: the sixth is what rounding leaves."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        x = rng.normal(5, 3, size=(18, n_vars))
        if case == "repeated rows":
            x = np.vstack([x[:6]] * 3)
        if case == "constant variables":
            x[:, 5:] = 0.1
        if case == "mixtures of six rows":
            x = rng.dirichlet(np.ones(6), 18) @ x[:6]
        x = torch.from_numpy(x.astype(np.float32))
        build("pca.PCA", n_vars, {"n_latent": 5}).solve(x)
        with pytest.raises(DataError, match="n_latent 6 exceeds the rank 5 of 18"):
            build("pca.PCA", n_vars, {"n_latent": 6}).solve(x)


@pytest.mark.parametrize("value", [0.0, 0.1, -1234.5])
@pytest.mark.parametrize("n_rows", [2, 3, 1000])
def test_pca_of_equal_rows_has_no_component(value, n_rows):
    """Breaks if the rounding of a mean is taken for variance."""
    x = torch.full((n_rows, 40), value) + torch.arange(40) * 1.37
    with pytest.raises(DataError, match="exceeds the rank 0"):
        build("pca.PCA", 40, {"n_latent": 1}).solve(x)


def test_pca_of_values_over_many_magnitudes_is_not_refused():
    """Breaks if small variances beside a large one are taken for rounding: counts have six orders of magnitude."""
    x = torch.from_numpy(np.random.default_rng(0).lognormal(3, 3, (100, 500)).astype(np.float32))
    build("pca.PCA", 500, {"n_latent": 99}).solve(x)


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

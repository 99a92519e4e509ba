"""The mathematics of each model against closed forms, automatic Jacobians, brute force, or data of known structure."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, MultivariateNormal, Normal, kl_divergence
from torch.func import hessian, jacrev, vmap

from aeflow.models.base import Batch
from aeflow.models.build import build
from aeflow.models.parts.corruption import corrupt
from aeflow.models.parts.counts import draw_counts
from aeflow.models.parts.losses import bernoulli_nll, gaussian_nll, kl_bernoulli, squared_error
from aeflow.training.fit import TrainingSettings, evaluate, fit


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0, double: bool = False) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64 if double else torch.float32)


def made(architecture: str, n_vars: int, *, seed: int = 0, n_covariates: int | None = None, **keywords):
    torch.manual_seed(seed)
    return build(architecture, n_vars, keywords, n_covariates=n_covariates)


def orthonormal(n: int, k: int, seed: int = 0) -> Tensor:
    """Return k orthonormal columns of length n, float64."""
    return torch.linalg.qr(normal(n, k, seed=seed, double=True)).Q


def largest_angle(a: Tensor, b: Tensor) -> float:
    """Return the largest principal angle in degrees between the spans of the columns of a and b (D, L)."""
    qa, qb = (torch.linalg.qr(m.detach().double()).Q for m in (a, b))
    return math.degrees(math.asin(min(1.0, torch.linalg.matrix_norm(qb - qa @ (qa.T @ qb), 2).item())))


# --- contractive -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keywords",
    [
        {"activation": "sigmoid"},
        {"activation": "tanh"},
        {"activation": "tanh", "n_hidden": (7, 5)},
        {"activation": "relu", "n_hidden": (7,)},
        {"activation": "tanh", "n_hidden": (3, 2), "network": "conv"},
        {"activation": "sigmoid", "network": "conv"},
    ],
    ids=str,
)
@pytest.mark.parametrize("training", [True, False])
def test_contractive_penalty_is_the_squared_jacobian(keywords, training):
    """Breaks if the closed form lacks a factor, or autograd mixes the rows of a batch."""
    model = made("cae.CAE", 36, n_latent=4, contraction=0.3, **keywords).train(training)
    x = normal(5, 36)
    jacobian = vmap(jacrev(lambda row: model.encoder(row[None])[0]))(x)  # (B, L, D)
    expected = jacobian.square().sum((1, 2))
    with torch.set_grad_enabled(training):
        losses = model.losses(Batch(x))
    assert torch.allclose(losses.penalty, 0.3 * expected, rtol=1e-4)
    assert torch.allclose(losses.reconstruction, squared_error(x, model.decode(model.encode(Batch(x)), Batch(x))))


@pytest.mark.parametrize("keywords", [{}, {"n_hidden": (6,), "activation": "tanh"}], ids=str)
def test_contractive_gradient_equals_finite_differences(keywords):
    """Breaks if the penalty is shown but not trained: its gradient reaches the encoder through the Jacobian."""
    model = made("cae.CAE", 5, n_latent=3, **keywords).double().train()
    x = normal(4, 5, double=True)
    weight = next(p for p in model.encoder.parameters() if p.ndim == 2)
    model.squared_jacobian(x)[1].sum().backward()
    analytic, step = weight.grad[0, 0].item(), 1e-5
    found = []
    with torch.no_grad():
        for sign in (1, -1):
            weight[0, 0] += sign * step
            found.append(model.squared_jacobian(x)[1].sum().item())
            weight[0, 0] -= sign * step
    assert analytic == pytest.approx((found[0] - found[1]) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_one_layer_without_a_closed_form_is_refused(network):
    """Breaks if the slope of tanh is taken for that of relu where a network has one layer."""
    with pytest.raises(ValueError, match="one layer of 'relu' has no closed form"):
        build("cae.CAE", 36, {"network": network, "activation": "relu"})


def test_linear_denoising_is_contraction_exactly():
    """Breaks if the noise of the DAE, or its target, is wrong: a linear r(x) = A x + b has, at every noise level s,

    E ||r(x + s e) - x||^2 = ||r(x) - x||^2 + s^2 ||A||_F^2, with A the Jacobian that a contractive penalty sums.
    """
    dae = made("dae.DAE", 6, n_hidden=(), n_latent=3, noise=0.5)
    x = normal(1, 6)
    jacobian = jacrev(lambda row: dae.decoder(dae.encoder(row[None]))[0])(x[0])
    with torch.no_grad():
        noisy = dae.losses(Batch(x.expand(400_000, -1), generator())).reconstruction.double().mean()
        clean = squared_error(x, dae.decode(dae.encode(Batch(x)), Batch(x)))
    assert (noisy - clean).item() == pytest.approx(0.25 * jacobian.square().sum().item(), rel=0.01)


def test_small_noise_makes_a_denoiser_a_contractive_autoencoder():
    """Breaks if DAE and CAE disagree on the Jacobian (Alain & Bengio 2014, JMLR 15, theorem 1): as s -> 0

    E ||r(x + s e) - x||^2 - ||r(x) - x||^2 = s^2 (||J_r||_F^2 + (r(x) - x)^T sum_i d^2 r / dx_i^2) + O(s^4).
    The same network is the encoder of the CAE, which gives ||J_r||^2, and the whole DAE.
    """
    cae = made("cae.CAE", 4, n_hidden=(8,), n_latent=4, activation="tanh", contraction=1.0).double()
    with torch.no_grad():
        for p in cae.encoder.parameters():
            p.mul_(1.5).add_(0.2)  # away from the linear part of tanh, so that the second derivative matters
    dae = made("dae.DAE", 4, noise=0.0)
    dae.encoder, dae.decoder = cae.encoder, nn.Identity()
    x = normal(1, 4, seed=3, double=True)
    r = lambda row: cae.encoder(row[None])[0]  # noqa: E731
    residual = (r(x[0]) - x[0]).detach()
    curvature = hessian(r)(x[0]).diagonal(dim1=1, dim2=2).sum(1)  # (D,)
    norm = cae.squared_jacobian(x)[1].item()
    limit = norm + (residual @ curvature).item()
    assert abs(limit - norm) > 0.1 * norm  # the test would not see the second term otherwise
    rows, errors = x.expand(200_000, -1), []
    for noise in (0.4, 0.2, 0.04):
        dae.noise = noise
        with torch.no_grad():
            rise = dae.losses(Batch(rows, generator())).reconstruction - residual.square().sum()
            e = corrupt(rows, "gaussian", noise, generator()) - rows  # the same draws
            rise = rise - 2 * e @ jacrev(r)(x[0]).T @ residual  # mean 0: only spares draws
        errors.append(abs(rise.mean().item() / noise**2 / limit - 1))
    assert errors[-1] < 0.01
    assert errors[0] > errors[-1]


# --- sparse ----------------------------------------------------------------------------------------------------------


def test_kl_bernoulli_equals_torch_distributions():
    """Breaks if target and mean activation change places."""
    p = torch.linspace(0.01, 0.99, 25)
    for target in (0.05, 0.5):
        expected = kl_divergence(Bernoulli(probs=torch.tensor(target)), Bernoulli(probs=p))
        assert torch.allclose(kl_bernoulli(target, p), expected, atol=1e-6)
    assert kl_bernoulli(0.05, torch.tensor([0.0, 1.0])).isfinite().all()


@pytest.mark.parametrize("key", ["l1_latent", "l1_weights", "kl"])
def test_each_sparsity_penalty_alone_moves_the_loss_by_its_weight(key):
    """Breaks if a weight is lost, squared, or acts on another term than its own."""
    x = torch.rand(16, 9, generator=generator())

    def penalty(weight: float) -> Tensor:
        model = made("sparse_ae.SparseAE", 9, n_latent=12, activation="sigmoid", **{key: weight})
        losses, z = model.losses(Batch(x)), model.encode(Batch(x))
        matrices = [p for p in model.parameters() if p.ndim == 2]
        terms = {
            "l1_latent": z.abs().sum(1),
            "l1_weights": sum(p.abs().sum() for p in matrices).expand(16),
            "kl": kl_bernoulli(0.05, z.mean(0)).sum().expand(16),
        }
        assert len(matrices) == 2
        assert torch.allclose(losses.penalty, weight * terms[key], rtol=1e-5)
        return losses.penalty

    assert torch.allclose(penalty(0.8), 2 * penalty(0.4))
    assert not penalty(0.0).any()


def test_running_mean_activation():
    """Breaks if a held-out row's penalty depends on its neighbours, or evaluation changes the running mean."""
    model = made("sparse_ae.SparseAE", 9, n_latent=5, kl=1.0, target=0.1)
    batches = torch.rand(200, 30, 9, generator=generator())
    expected = torch.full((5,), 0.1)
    for x in batches:
        model.losses(Batch(x))
        expected = 0.9 * expected + 0.1 * model.encode(Batch(x)).mean(0)
    assert torch.allclose(model.mean_activation, expected, atol=1e-5)
    assert not model.mean_activation.requires_grad
    before = model.mean_activation.clone()
    penalties = model.eval().losses(Batch(batches[0])).penalty
    assert torch.equal(model.mean_activation, before)
    assert torch.allclose(penalties, kl_bernoulli(0.1, before).sum())


# --- variational -----------------------------------------------------------------------------------------------------


def linear_vae(n_vars: int = 5, n_latent: int = 2, variance: float = 0.4, *, exact: bool = True, **keywords):
    """Return x = W z + b + N(0, variance) in float64, W with orthogonal columns; its q(z|x) the posterior if `exact`.

    The posterior is N(S W^T (x - b) / variance, S), S = (I + W^T W / variance)^-1, diagonal for such W.
    """
    vae = made("vae.VAE", n_vars, n_hidden=(), n_latent=n_latent, likelihood="gaussian", variance=variance, **keywords)
    vae = vae.double()
    out, posterior = vae.decoder[0][1], vae.posterior[1]
    w, b = orthonormal(n_vars, n_latent) * torch.tensor([2.0, 0.7]), normal(n_vars, seed=1, double=True)
    s = 1 / (1 + w.square().sum(0) / variance)
    with torch.no_grad():
        out.weight.copy_(w), out.bias.copy_(b)
        map_ = (s / variance)[:, None] * w.T
        posterior.weight.zero_(), posterior.bias.zero_()
        posterior.weight[:n_latent] = map_ if exact else 0.6 * map_
        posterior.bias[:n_latent] = -(map_ if exact else 0.6 * map_) @ b
        posterior.bias[n_latent:] = s.log() if exact else s.log() + 0.8
    marginal = MultivariateNormal(b, w @ w.T + variance * torch.eye(n_vars, dtype=torch.float64))
    return vae, marginal


def test_loss_is_monte_carlo_free_energy():
    """Breaks if the two loss parts do not add up to E_q[log q(z) - log p(x, z)], estimated here by other code."""
    vae = made("vae.VAE", 6, n_hidden=(8,), n_latent=2)
    x = torch.rand(3, 6, generator=generator())
    with torch.no_grad():
        mu, logvar = vae.qz(x)
        qz = Independent(Normal(mu, (0.5 * logvar).exp()), 1)
        torch.manual_seed(1)
        z = qz.sample((40_000,))
        log_px = -bernoulli_nll(x.expand(40_000, 3, 6), vae.decoder(z.flatten(0, 1)).unflatten(0, (40_000, 3)))
        log_pz = Independent(Normal(torch.zeros(2), torch.ones(2)), 1).log_prob(z)
        estimate = (qz.log_prob(z) - log_pz - log_px).mean(0)
        repeated = Batch(x.repeat_interleave(40_000, 0), generator(2))
        losses = vae.losses(repeated)
    found = sum(losses).unflatten(0, (3, 40_000)).mean(1)
    assert torch.allclose(found, estimate, rtol=0.003)
    expected = kl_divergence(qz, Independent(Normal(torch.zeros(3, 2), torch.ones(3, 2)), 1))
    assert torch.allclose(losses.penalty[::40_000], expected, atol=1e-5)


def test_exact_posterior_makes_the_bound_tight():
    """Breaks if any term of the ELBO is off: with the true posterior its mean is the marginal likelihood itself."""
    vae, marginal = linear_vae()
    x = marginal.sample((4,))
    with torch.no_grad():
        elbo = -sum(vae.losses(Batch(x.repeat_interleave(50_000, 0), generator())))
        one_draw = vae.log_likelihood(Batch(x, generator()), 1)
    assert torch.allclose(elbo.unflatten(0, (4, -1)).mean(1), marginal.log_prob(x), rtol=0.01)
    assert torch.allclose(one_draw, marginal.log_prob(x))  # weights are constant, so one draw is exact


def test_likelihood_of_many_draws_reaches_the_marginal():
    """Breaks if importance weights are biased: a wrong posterior costs draws, not correctness."""
    vae, marginal = linear_vae(exact=False)
    x = marginal.sample((4,))
    with torch.no_grad():
        few = torch.stack([vae.log_likelihood(Batch(x, generator(i)), 1) for i in range(200)]).mean(0)
        many = vae.log_likelihood(Batch(x, generator()), 100_000)
    assert torch.allclose(many, marginal.log_prob(x), atol=0.02)
    assert (few < marginal.log_prob(x) - 0.05).all()


def test_likelihood_does_not_depend_on_how_draws_are_split():
    """Breaks if the mean over chunks is not the mean over draws, which a large batch's memory bound needs."""
    vae, marginal = linear_vae(exact=False)
    x = marginal.sample((2,))
    with torch.no_grad():
        # 10 values: chunks of 200,000 draws, the last of 50,000
        whole = vae.log_likelihood(Batch(x, generator()), 450_000)
    assert torch.allclose(whole, marginal.log_prob(x), atol=0.01)


def test_number_of_draws_keeps_the_mean_and_divides_the_variance():
    """Breaks if posterior draws are summed instead of averaged, or are one draw repeated."""
    x = torch.rand(1, 6, generator=generator()).expand(20_000, -1)
    found = []
    for n_draws in (1, 4):
        vae = made("vae.VAE", 6, n_hidden=(8,), n_latent=2, n_draws=n_draws)
        found.append(vae.losses(Batch(x, generator())).reconstruction.detach().double())
    assert found[0].mean().item() == pytest.approx(found[1].mean().item(), rel=0.01)
    assert (found[0].var() / found[1].var()).item() == pytest.approx(4, rel=0.1)


def test_free_bits_is_a_floor_for_each_latent_in_training_only():
    """Breaks if the floor is for the sum of latents, or reported validation losses are not the ELBO."""
    vae = made("vae.VAE", 6, n_hidden=(8,), n_latent=3, free_bits=0.2)
    x = 3 * torch.rand(50, 6, generator=generator())
    mu, logvar = vae.qz(x)
    parts = 0.5 * (mu.square() + logvar.exp() - 1 - logvar)  # (B, L)
    assert (parts < 0.2).any() and (parts > 0.2).any()
    assert torch.allclose(vae.losses(Batch(x)).penalty, torch.where(parts < 0.2, 0.2, parts).sum(1))
    assert torch.allclose(vae.eval().losses(Batch(x)).penalty, parts.sum(1), atol=1e-6)


def test_importance_bound_equals_brute_force():
    """Breaks if weights, or their mean's logarithm, differ from Burda et al.'s definition, draw by draw."""
    vae = made("vae.VAE", 6, n_hidden=(8,), n_latent=2, objective="iwae", n_draws=7)
    x = (torch.rand(5, 6, generator=generator()) > 0.5).float()
    mu, logvar = vae.qz(x)
    qz = Normal(mu, (0.5 * logvar).exp())
    z = mu + qz.scale * torch.randn((7, 5, 2), generator=generator(3))
    logits = vae.decoder(z.flatten(0, 1)).unflatten(0, (7, 5))
    log_px = Bernoulli(logits=logits).log_prob(x).sum(-1)
    log_w = log_px + Normal(0.0, 1.0).log_prob(z).sum(-1) - qz.log_prob(z).sum(-1)
    expected = log_w.exp().mean(0).log()
    losses = vae.losses(Batch(x, generator(3)))
    assert torch.allclose(-losses.reconstruction, expected, atol=1e-5)
    assert not losses.penalty.any()


def test_importance_bound_tightens_with_draws():
    """Breaks if more draws do not approach the exact marginal from below."""
    x, gaps = None, []
    for n_draws in (1, 5, 50):
        vae, marginal = linear_vae(exact=False, objective="iwae", n_draws=n_draws)
        x = marginal.sample((1,)) if x is None else x
        bound = -vae.losses(Batch(x.expand(4000, -1), generator())).reconstruction.mean()
        gaps.append((marginal.log_prob(x) - bound).item())
    assert gaps[0] > gaps[1] > gaps[2] > 0
    assert gaps[2] < gaps[1] / 5  # about the variance of w over 2 K


def bound_gradients(gradient: str, exact: bool, x: Tensor, seed: int, n: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the bound (n,) and the mean gradient of each parameter over n draws of K = 4 at one x."""
    vae, _ = linear_vae(exact=exact, objective="iwae", n_draws=4, gradient=gradient)
    losses = vae.losses(Batch(x.expand(n, -1), generator(seed)))
    losses.reconstruction.mean().backward()
    return losses.reconstruction.detach(), {name: p.grad for name, p in vae.named_parameters()}


X_DREG = torch.tensor([[1.0, -0.5, 0.3, 2.0, -1.0]], dtype=torch.float64)


def test_doubly_reparameterised_gradient_changes_the_encoder_alone():
    """Breaks if the value of the bound, or the decoder's gradient, is another one for the same draws."""
    (bound, standard), (again, dreg) = (bound_gradients(g, False, X_DREG, 0, 50) for g in ("standard", "dreg"))
    assert torch.allclose(bound, again)
    for name in standard:
        assert torch.allclose(standard[name], dreg[name]) == name.startswith("decoder"), name


def test_doubly_reparameterised_gradient_has_the_standard_one_as_its_mean():
    """Breaks if weights are not squared, or q's own gradient is not left out: the two then differ in expectation."""
    means, spreads = {}, {}
    for gradient in ("standard", "dreg"):
        chunks = [bound_gradients(gradient, False, X_DREG, seed, 20_000)[1] for seed in range(20)]
        flat = torch.stack(
            [torch.cat([c[k].flatten() for k in ("posterior.1.weight", "posterior.1.bias")]) for c in chunks]
        )
        means[gradient], spreads[gradient] = flat.mean(0), flat.std(0)
    error = ((spreads["standard"].square() + spreads["dreg"].square()) / 20).sqrt()
    assert ((means["standard"] - means["dreg"]).abs() < 5 * error + 1e-9).all()
    assert means["dreg"].norm() > 20 * error.norm()  # else everything would pass
    assert spreads["dreg"].norm() < spreads["standard"].norm()


def test_doubly_reparameterised_gradient_is_zero_at_the_exact_posterior():
    """Breaks if the gradient's variance does not vanish where nothing is left to learn: its very purpose."""
    standard, dreg = (bound_gradients(g, True, X_DREG, 0, 1)[1]["posterior.1.weight"] for g in ("standard", "dreg"))
    assert dreg.abs().max() < 1e-6  # the model's variance was rounded to float32
    assert standard.abs().max() > 1e-3


def test_uniform_noise_leaves_nothing_to_encode():
    """Breaks if a VAE pretends to compress what has no structure: squared error is the variance 1/12, KL is 0.

    The largest eigenvalue of the sample covariance is (1 + sqrt(40 / 5000))^2 = 1.19 times 1/12 (Marchenko & Pastur):
    a likelihood of variance 1/12 would be right to encode it, one of variance 0.1 is not.
    """
    train, val = (torch.rand(n, 40, generator=generator(n)) for n in (5000, 2000))
    vae = made("vae.VAE", 40, n_hidden=(32,), n_latent=4, likelihood="gaussian", variance=0.1)
    fit(
        vae,
        train,
        val,
        TrainingSettings(max_epochs=40, batch_size=200, learning_rate=3e-3, schedule="cosine", patience=40),
        seed=0,
    )
    with torch.no_grad():
        error = squared_error(val, vae.eval().decode(vae.encode(Batch(val)), Batch(val))).mean().item() / 40
    assert error == pytest.approx(1 / 12, rel=0.015)
    assert evaluate(vae, val, 0, beta=1.0)["val_penalty"] < 0.02


# --- linear ----------------------------------------------------------------------------------------------------------

SPECTRUM = torch.tensor([9.0, 6.0, 4.0, 2.5, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1], dtype=torch.float64)


def known_spectrum(n: int = 400, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return x (n, 10) of mean 3 whose covariance (divided by n) has eigenvalues SPECTRUM exactly, and directions."""
    u = normal(n, 10, seed=seed, double=True)
    u = torch.linalg.qr(u - u.mean(0)).Q * n**0.5
    v = orthonormal(10, 10, seed=seed + 1)
    return (u * SPECTRUM.sqrt() @ v.T + 3).float(), v


SLOW = TrainingSettings(max_epochs=150, batch_size=100, learning_rate=0.02, schedule="cosine", patience=150)


@pytest.mark.parametrize("tied", [False, True])
def test_linear_autoencoder_reaches_the_optimum_of_pca(tied):
    """Breaks if training stops elsewhere than the only minimum, or the error is scaled: below PCA is impossible."""
    x, v = known_spectrum()
    model = made("linear_ae.LinearAE", 10, n_latent=4, tied=tied)
    fit(model, x, x, SLOW, seed=0)
    optimum = SPECTRUM[4:].sum().item()
    assert optimum * (1 - 1e-5) < evaluate(model, x, 0, beta=1.0)["val_reconstruction"] < 1.001 * optimum
    assert largest_angle(model.loadings(), v[:, :4]) < 1
    assert sum(p.numel() for p in model.parameters()) == (40 if tied else 80)
    pca = build("pca.PCA", 10, {"n_latent": 4})
    pca.solve(x)
    assert evaluate(pca, x, 0, beta=1.0)["val_reconstruction"] == pytest.approx(optimum, rel=1e-5)


@pytest.mark.parametrize("tied", [False, True])
def test_l2_singles_out_the_principal_directions(tied):
    """Breaks if l2 has another scale than the error of one observation.

    Along a direction of variance v, W2 = W1^T of singular value s costs v (1 - s^2)^2 + 2 l2 s^2, which is least at
    s^2 = 1 - l2 / v: the left singular vectors of W2 are the directions, in the order of their variance.
    """
    x, v = known_spectrum()
    l2 = 0.8
    model = made("linear_ae.LinearAE", 10, n_latent=4, l2=l2, tied=tied)
    fit(model, x, x, SLOW, seed=0)
    singular = torch.linalg.svdvals(model.loadings()).double()
    assert torch.allclose(singular, (1 - l2 / SPECTRUM[:4]).sqrt(), atol=0.004)
    cosines = (model.principal_directions().double() * v[:, :4]).sum(0).abs()
    assert (cosines > math.cos(math.radians(1.5))).all()
    least = (
        SPECTRUM.sum() - SPECTRUM[:4].sum() + (l2**2 / SPECTRUM[:4] + 2 * l2 * (1 - l2 / SPECTRUM[:4])).sum()
    ).item()
    assert evaluate(model, x, 0, beta=1.0)["val_loss"] == pytest.approx(least, rel=1e-3)


def test_l2_closes_latents_that_cost_more_than_they_explain():
    """Breaks if a direction of variance below l2 is kept: its optimum is s = 0."""
    x, _ = known_spectrum()
    model = made("linear_ae.LinearAE", 10, n_latent=6, l2=3.0)
    fit(model, x, x, SLOW, seed=0)
    singular = torch.linalg.svdvals(model.loadings())
    assert (singular[:3] > 0.4).all() and (singular[3:] < 0.05).all()


def test_linear_interpretable_vae_has_the_loadings_of_pca():
    """Breaks if siVAE's loadings are not those of the observations: without hidden layers they span PCA's subspace."""
    x, v = known_spectrum(600)
    x = (x - 3) @ v[:, :3].float() @ v[:, :3].T.float() + 0.1 * normal(600, 10, seed=5) + 3  # 3 directions, low noise
    model = made("sivae.SiVAE", 10, n_hidden=(), n_latent=3, n_profile=10, linearity=0.05)
    settings = TrainingSettings(max_epochs=150, batch_size=60, learning_rate=0.01, schedule="cosine", patience=150)
    fit(model, x, x, settings, seed=0)
    assert largest_angle(model.loadings(), v[:, :3]) < 1.5
    error = squared_error(x, model.decode(model.encode(Batch(x)), Batch(x))).mean().item() / 10
    assert error < 0.02  # noise variance 0.01


# --- counts ----------------------------------------------------------------------------------------------------------


def test_latent_library_pays_its_divergence():
    """Breaks if the prior of the library size is not that of the training rows, or its KL has a wrong scale."""
    x = torch.poisson(torch.rand(50, 8, generator=generator()) * 30, generator=generator(1))
    model = made("zinb_vae.ZINBVAE", 8, n_hidden=(6,), n_latent=2, library="latent")
    model.prepare(x, None)
    log_l = x.sum(1).log()
    assert torch.allclose(model.library.prior, torch.stack([log_l.mean(), log_l.var(correction=0)]), rtol=1e-4)
    mu, logvar, mu_l, logvar_l = model.posteriors(Batch(x))
    prior = Normal(model.library.prior[0], model.library.prior[1].sqrt())
    expected = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0)).sum(1)
    expected = expected + kl_divergence(Normal(mu_l, (0.5 * logvar_l).exp()), prior)[:, 0]
    assert torch.allclose(model.losses(Batch(x, generator())).penalty, expected, rtol=1e-4)


def simulated_counts(n: int, seed: int, effect: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Return NB counts (n, 30) at theta = 20, batches one-hot (n, 2), and expression before the batch effect (n, 30).

    Expression varies along two continuous axes. In batch 1, held by a third of the rows, the first 15 genes are
    exp(effect) times as strong. SIMULATED.
    """
    rng = generator(seed)
    axes = normal(2, 30, seed=77)
    share = (normal(1, 30, seed=78) * 0.5 + torch.randn((n, 2), generator=rng) @ axes * 0.6).softmax(1)
    batch = (torch.rand(n, generator=rng) < 1 / 3).float()
    tilt = torch.cat([torch.ones(15), torch.zeros(15)])
    seen = share * (effect * batch[:, None] * tilt).exp()
    size = 3000 * (0.3 * torch.randn((n, 1), generator=rng)).exp()
    x = draw_counts(size * seen / seen.sum(1, keepdim=True), torch.tensor([20.0]), None, rng)
    return x, torch.stack([1 - batch, batch], 1), share


def test_decoding_into_one_batch_removes_a_planted_effect_and_keeps_expression():
    """Breaks if corrected expression is decoded with each row's own batch, or the latents carry the batch."""
    (x, c, _), (val, c_val, share) = simulated_counts(1500, 0, 1.2), simulated_counts(400, 1, 1.2)
    model = made("zinb_vae.ZINBVAE", 30, n_covariates=2, n_hidden=(32,), n_latent=4, likelihood="nb")
    settings = TrainingSettings(max_epochs=60, batch_size=100, learning_rate=5e-3, schedule="cosine", patience=60)
    fit(model, x, val, settings, seed=0, c_train=c, c_val=c_val)
    assert model.reference.tolist() == [1, 0]  # the commoner batch, which has no effect
    with torch.no_grad():
        exports = model.eval().exports(Batch(val, None, c_val))
    second = c_val[:, 1] == 1

    def shift(expression: Tensor) -> float:
        """Mean log difference of batch 1 to batch 0 in the genes with the effect, against those without."""
        log = expression.log()
        between = log[second].mean(0) - log[~second].mean(0)
        return (between[:15].mean() - between[15:].mean()).item()

    truth = shift(share)
    assert shift(exports["normalised_expression"]) - truth == pytest.approx(1.2, abs=0.2)
    assert abs(shift(exports["batch_corrected_expression"]) - truth) < 0.2
    corrected = exports["batch_corrected_expression"]
    assert torch.allclose(corrected.sum(1), torch.tensor(1e6), rtol=1e-4)
    correlation = np.corrcoef((corrected / 1e6).log()[second].flatten(), share.log()[second].flatten())[0, 1]
    uncorrected = np.corrcoef(
        ((val[second] + 1) / val[second].sum(1, keepdim=True)).log().flatten(), share.log()[second].flatten()
    )[0, 1]
    assert correlation > 0.95
    assert correlation > uncorrected


def test_count_model_beats_class_means_where_classes_are_not_all():
    """Breaks if latents add nothing to NB around class means, though expression varies along axes inside a class."""
    (x, c, _), (val, c_val, _), (test, c_test, _) = (
        simulated_counts(n, s, 1.0) for n, s in ((1500, 0), (300, 1), (300, 2))
    )
    means = build("nb_means.NBMeans", 30, {}, n_covariates=2)
    fit(means, x, val, TrainingSettings(), seed=0, c_train=c, c_val=c_val)
    model = made("zinb_vae.ZINBVAE", 30, n_covariates=2, n_hidden=(32,), n_latent=4, likelihood="nb")
    settings = TrainingSettings(max_epochs=30, batch_size=100, learning_rate=5e-3, patience=30)
    fit(model, x, val, settings, seed=0, c_train=c, c_val=c_val)
    with torch.no_grad():
        ours = model.eval().log_likelihood(Batch(test, generator(), c_test), 100).mean().item()
        floor = means.log_likelihood(Batch(test, None, c_test), 1).mean().item()
    assert ours > floor + 5  # nats per observation of 30 genes


def test_dispersion_by_moments():
    """Breaks if theta is its inverse, or class differences count as dispersion."""
    n, theta = 4000, torch.tensor([0.5, 2.0, 10.0, 50.0]).repeat(100)
    c = torch.eye(2)[torch.arange(n) % 2]
    rates = torch.rand(2, 400, generator=generator(4)) + 0.5
    share = rates / rates.sum(1, keepdim=True)
    x = draw_counts(80_000 * (c @ share), theta, None, generator())
    model = build("nb_means.NBMeans", 400, {}, n_covariates=2)
    model.prepare(x, c)
    ratio = (model.theta / theta).reshape(100, 4).median(0).values
    assert torch.allclose(ratio, torch.ones(4), rtol=0.08), ratio
    assert torch.allclose(model.shares, share, rtol=0.2)


# --- chains and conditions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_no_walkback_is_a_denoising_autoencoder(likelihood):
    """Breaks if walkback: 0 walks at all, corrupts its target, or draws what it does not need."""
    model = made("gdae.GDAE", 12, n_latent=8, likelihood=likelihood, walkback=0.0, noise=0.3)
    x = torch.rand(6, 12, generator=generator(1))
    rng = generator(2)
    if likelihood == "bernoulli":
        corrupted = corrupt(torch.bernoulli(x, generator=rng), "salt_and_pepper", 0.3, rng)
        expected = bernoulli_nll(x, model.decoder(model.encoder(corrupted)))
    else:
        expected = gaussian_nll(x, model.decoder(model.encoder(corrupt(x, "gaussian", 0.3, rng))), model.logvar)
    assert torch.allclose(model.losses(Batch(x, generator(2))).reconstruction, expected)


def test_walkback_targets_the_first_state_from_every_step():
    """Breaks if later steps are trained towards their own last state, or rows lose track of whose chain they are."""
    model = made("gdae.GDAE", 12, n_latent=8, walkback=0.6, noise=0.3)
    x = (torch.rand(6, 12, generator=generator(1)) > 0.5).float()
    rng, total, going = generator(2), [0.0] * 6, list(range(6))
    state = torch.bernoulli(x, generator=rng)
    while going:
        out = model.decoder(model.encoder(corrupt(state, "salt_and_pepper", 0.3, rng)))
        for place, row in enumerate(going):
            total[row] = total[row] + bernoulli_nll(x[row : row + 1], out[place : place + 1])[0]
        on = torch.rand(len(going), generator=rng) < 0.6
        going = [row for row, goes in zip(going, on, strict=True) if goes]
        state = torch.bernoulli(torch.sigmoid(out.detach()[on]), generator=rng)
    assert torch.allclose(model.losses(Batch(x, generator(2))).reconstruction, 0.4 * torch.stack(total))


@pytest.mark.parametrize("p", [0.0, 0.5, 0.8])
def test_chains_of_walkback_have_a_geometric_length(p):
    """Breaks if all rows stop together, or the number of steps is off: its mean is 1 / (1 - p)."""
    model = made("gdae.GDAE", 4, n_latent=2, walkback=p)
    seen = []
    model.encoder.register_forward_hook(lambda module, args, out: seen.append(len(out)))
    with torch.no_grad():
        model.losses(Batch(torch.rand(20_000, 4, generator=generator()), generator(1)))
    assert sum(seen) / 20_000 == pytest.approx(1 / (1 - p), rel=0.03)
    assert all(later == pytest.approx(p * before, abs=400) for before, later in pairwise(seen))


def test_endless_walkback_is_refused():
    with pytest.raises(ValueError, match=r"gdae: walkback 1\.0 is not a probability below 1"):
        made("gdae.GDAE", 4, walkback=1.0)


def test_binary_chains_stay_binary():
    """Breaks if a mean is passed on as a state: the chain's stationary law would be another one."""
    model = made("gdae.GDAE", 12, n_latent=8, n_generate=5)
    state = (torch.rand(50, 12, generator=generator(1)) > 0.5).float()
    rng = generator()
    with torch.no_grad():
        for _ in range(20):
            state, mean = model.step(state, rng)
            assert ((state == 0) | (state == 1)).all()
            assert ((mean > 0) & (mean < 1)).all()
        drawn = model.generate(50, generator(), noise=True)
    assert ((drawn == 0) | (drawn == 1)).all()


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_conditional_draws_are_of_their_class(likelihood):
    """Breaks if the decoder does not hear the class, or hears another one: each draw's nearest template is its own."""
    templates = (torch.rand(4, 24, generator=generator(5)) > 0.5).float() * 0.8 + 0.1
    c = torch.eye(4)[torch.arange(1200) % 4]
    x = (c @ templates + 0.1 * normal(1200, 24)).clamp(0, 1)
    model = made("cvae.CVAE", 24, n_covariates=4, n_hidden=(32,), n_latent=3, likelihood=likelihood)
    fit(model, x[:1000], x[1000:], TrainingSettings(max_epochs=15, batch_size=50, learning_rate=5e-3), seed=0,
        c_train=c[:1000], c_val=c[1000:])  # fmt: skip
    wanted = torch.arange(400) % 4
    with torch.no_grad():
        drawn = model.eval().generate(400, generator(), noise=True, covariates=torch.eye(4)[wanted])
    nearest = torch.cdist(drawn, templates).argmin(1)
    assert (nearest == wanted).float().mean() > 0.99

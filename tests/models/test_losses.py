"""Each loss term against an independent reference."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch.distributions import Independent, Normal, kl_divergence

from aeflow.models.parts.losses import bernoulli_nll, gaussian_nll, kl_standard_normal, squared_error

seeds = st.integers(0, 2**31 - 1)


def draws(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [torch.from_numpy(rng.normal(size=shape)).double() for shape in shapes]


@given(seeds)
def test_gaussian_nll_equals_scipy(seed):
    """Breaks if the constant, the variance or the sign is wrong."""
    x, mu, logvar = draws(seed, (4, 5), (4, 5), (5,))
    expected = -stats.norm(mu.numpy(), np.exp(0.5 * logvar.numpy())).logpdf(x.numpy()).sum(1)
    assert np.allclose(gaussian_nll(x, mu, logvar).numpy(), expected)


@given(seeds)
def test_bernoulli_nll_equals_scipy_on_binary_data(seed):
    """Breaks if logits are taken for probabilities."""
    logits, x = draws(seed, (4, 5), (4, 5))
    x = (x > 0).double()
    expected = -stats.bernoulli(torch.sigmoid(logits).numpy()).logpmf(x.numpy()).sum(1)
    assert np.allclose(bernoulli_nll(x, logits).numpy(), expected)


@given(seeds)
def test_bernoulli_nll_of_grey_is_the_mean_over_binarisations(seed):
    """Breaks if the claim in its docstring, linearity in x, is untrue."""
    logits, x = draws(seed, (1, 4), (1, 4))
    x = torch.sigmoid(x)
    total = torch.zeros(1, dtype=torch.double)
    for bits in range(16):
        b = torch.tensor([[(bits >> j) & 1 for j in range(4)]]).double()
        total += (x**b * (1 - x) ** (1 - b)).prod() * bernoulli_nll(b, logits)
    assert torch.allclose(total, bernoulli_nll(x, logits))


@given(seeds)
def test_kl_equals_torch_distributions(seed):
    """Breaks if the analytic KL has a wrong term or sign."""
    mu, logvar = draws(seed, (4, 3), (4, 3))
    qz = Independent(Normal(mu, (0.5 * logvar).exp()), 1)
    pz = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    assert torch.allclose(kl_standard_normal(mu, logvar), kl_divergence(qz, pz))


def test_kl_by_hand():
    """Breaks against two values worked out on paper: q = p gives 0; mu = 1, variance 1 gives one half."""
    zero, one = torch.zeros(1, 1), torch.ones(1, 1)
    assert kl_standard_normal(zero, zero).item() == 0
    assert kl_standard_normal(one, zero).item() == 0.5


def test_squared_error_sums_over_variables():
    """Breaks if the error is averaged, which would make the weight of a penalty depend on the width of the data."""
    assert squared_error(torch.zeros(2, 3), torch.full((2, 3), 2.0)).tolist() == [12, 12]

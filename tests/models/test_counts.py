"""Likelihoods of counts against scipy, and draws against the moments of their distribution."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit, logsumexp

from aeflow.errors import DataError
from aeflow.models.parts.counts import check_counts, count_nll, draw_counts, nb_log_prob, nb_nll, poisson_nll, zinb_nll

means = st.floats(1e-2, 1e5)
dispersions = st.floats(1e-2, 1e4)
counts = st.integers(0, 100_000)


def row(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


def scipy_nb(x: np.ndarray, mu: np.ndarray, theta: np.ndarray) -> np.ndarray:
    return stats.nbinom(theta, theta / (theta + mu)).logpmf(x)


@given(counts, means)
def test_poisson_equals_scipy(x, mu):
    """Breaks if log x! is left out, or the sign of the rate is wrong."""
    assert poisson_nll(row(x), row(mu)).item() == pytest.approx(-stats.poisson(mu).logpmf(x), rel=1e-6, abs=1e-5)


@given(counts, means, dispersions)
def test_negative_binomial_equals_scipy(x, mu, theta):
    """Breaks if theta is taken for the dispersion instead of its inverse, or a log-gamma is missing."""
    expected = scipy_nb(x, mu, theta)
    assert nb_log_prob(row(x), row(mu), row(theta)).item() == pytest.approx(expected, rel=1e-6, abs=1e-4)


@given(counts, means, dispersions, st.floats(-20, 20))
def test_zero_inflated_equals_the_mixture_of_scipy(x, mu, theta, logit):
    """Breaks if a zero is taken for the mixture's inflated part only, or a positive count for both parts."""
    log_nb = np.log(expit(-logit)) + scipy_nb(x, mu, theta)
    expected = logsumexp([np.log(expit(logit)), log_nb]) if x == 0 else log_nb
    found = -zinb_nll(row(x), row(mu), row(theta), row(logit)).item()
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-4)


def test_negative_binomial_of_float32_inputs_keeps_its_digits_at_large_counts():
    """Breaks if log-gammas of 1e6 are subtracted in float32, where nothing below 0.06 nats is left."""
    x, mu, theta = (torch.tensor([[value]]) for value in (100_000.0, 99_000.0, 50.0))  # float32
    expected = -scipy_nb(100_000, 99_000, 50)
    assert nb_nll(x, mu, theta).dtype == torch.float32
    assert nb_nll(x, mu, theta).item() == pytest.approx(expected, rel=1e-6)


def test_large_theta_is_poisson():
    """Breaks if the limit theta -> infinity, which defines the inverse dispersion, is another distribution."""
    x, mu = row(0, 3, 40), row(1, 5, 35)
    assert nb_nll(x, mu, torch.full_like(mu, 1e8)).item() == pytest.approx(poisson_nll(x, mu).item(), rel=1e-5)


def test_probabilities_sum_to_one():
    """Breaks if any of the three is not a distribution over the whole numbers."""
    x = torch.arange(4000, dtype=torch.float64)[:, None]
    mu, theta, logit = (torch.full_like(x, value) for value in (20.0, 0.7, -0.5))
    for given_ in ((mu, None, None), (mu, theta, None), (mu, theta, logit)):
        assert (-count_nll(x, *given_)).exp().sum().item() == pytest.approx(1, abs=1e-5)


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=20)
def test_gradients_are_finite_at_extremes(seed):
    """Breaks if zeros, huge counts or extreme parameters give a gradient that is no number."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.tensor([[0.0, 0.0, 1e5, 1e5, 1.0]])
    exponents = torch.rand((3, 5), generator=generator) * 16 - 8
    mu, theta = (10 ** exponents[:2]).clamp(1e-7, 1e7).unbind()
    inputs = [t[None].requires_grad_() for t in (mu, theta, 10 * exponents[2])]
    zinb_nll(x, *inputs).sum().backward()
    assert all(t.grad.isfinite().all() for t in inputs)


@pytest.mark.parametrize("kind", ["poisson", "nb", "zinb"])
def test_draws_have_the_moments_of_their_distribution(kind):
    """Breaks if the Gamma rate is scaled by theta, or zeros are added to the wrong share of draws."""
    n, mean, inverse, share = 200_000, 12.0, 3.0, 0.25
    mu = torch.full((n, 1), mean)
    theta = None if kind == "poisson" else torch.tensor([inverse])
    logits = torch.logit(torch.full((n, 1), share)) if kind == "zinb" else None
    x = draw_counts(mu, theta, logits, torch.Generator().manual_seed(0)).double()
    variance = mean if kind == "poisson" else mean + mean**2 / inverse
    kept = 1 - share if kind == "zinb" else 1.0
    expected = kept * mean, kept * (variance + mean**2) - (kept * mean) ** 2
    assert x.mean().item() == pytest.approx(expected[0], rel=0.01)
    assert x.var().item() == pytest.approx(expected[1], rel=0.03)
    assert torch.equal(x, x.round())


def test_entropy_of_draws_is_the_mean_likelihood():
    """Breaks if what is drawn and what is scored are two distributions: the mean -log p of draws is the entropy."""
    mu, theta = torch.full((100_000, 1), 8.0), torch.tensor([2.0])
    logits = torch.full_like(mu, -1.0)
    x = draw_counts(mu, theta, logits, torch.Generator().manual_seed(1))
    support = torch.arange(3000.0)[:, None]
    log_p = -zinb_nll(support, mu[:3000], theta, logits[:3000]).double()
    assert zinb_nll(x, mu, theta, logits).mean().item() == pytest.approx(-(log_p.exp() * log_p).sum().item(), rel=0.01)


@pytest.mark.parametrize(("values", "message"), [([1.0, -2.0], "never negative, found -2"), ([1.5], "whole numbers")])
def test_what_is_no_count_is_refused(values, message):
    """Breaks if standardised or normalised expression is taken for counts."""
    with pytest.raises(DataError, match=message):
        check_counts("nb", torch.tensor([values]))

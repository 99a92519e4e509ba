"""How good a model's draws are, sampler by sampler, beside floors and ceilings made of real rows.

Names are generation/{sampler}/{metric}; generation/baseline/{what}/{metric} knows no model: `real_train` puts as many
training rows in the place of draws (what a perfect generator would get), `class_gaussian` a Gaussian per class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from aeflow.errors import DataError
from aeflow.evaluation.generation.augmentation import augmentation, train_on_synthetic
from aeflow.evaluation.generation.correlations import class_gaussian_draws, correlation_agreement
from aeflow.evaluation.generation.judge import Judge, judged
from aeflow.evaluation.generation.manifold import manifold_metrics, memorisation
from aeflow.evaluation.generation.moments import moment_agreement
from aeflow.evaluation.generation.two_samples import classifier_two_sample, frechet_distance, mmd2

MAX_ROWS = 2000  # of either side: neighbours and kernels cost the square of it
CONFIDENT = 0.9  # probability of a class above which a draw looks like one of it
N_FEW = 50  # real rows of the augmentation experiment
N_ADDED = 1000


@dataclass
class Reference:
    """What draws are held against; all in the dataset's space, labels as the judge's class numbers.

    x_train, x_test : (n, n_vars) rows of the view; y_train, y_test : (n,) int.
    classes_train : (n_train,) what the class-Gaussian floor is conditioned on.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes_train: np.ndarray


def draw_metrics(
    draws: dict[str, np.ndarray], y_given: np.ndarray | None, real: Reference, judge: Judge, *, seed: int
) -> dict[str, float]:
    """Return {sampler/metric: number} for draws {sampler: (n_draws, n_vars)}.

    y_given : (n_draws,) the class each draw was to have, for conditional models; else None.
    """
    rng = np.random.default_rng(seed)
    out: dict[str, float] = {}
    for sampler, x in draws.items():
        out |= {f"{sampler}/{key}": v for key, v in _one(x, real, judge, rng, seed).items()}
        if y_given is not None:
            out |= {f"{sampler}/{key}": v for key, v in _conditional(x, y_given, real, judge, seed).items()}
    return out


def baseline_metrics(n_draws: int, real: Reference, judge: Judge, *, seed: int) -> dict[str, float]:
    """Return the same for real training rows and, for expression, a Gaussian per class in the place of draws."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(real.x_train), min(n_draws, len(real.x_train) // 2), replace=False)
    rest = np.setdiff1d(np.arange(len(real.x_train)), rows)
    without = Reference(real.x_train[rest], real.y_train[rest], real.x_test, real.y_test, real.classes_train[rest])
    stand_ins = {"real_train": real.x_train[rows]}
    if judge.kind != "images":
        wanted = real.classes_train[rng.choice(len(real.x_train), n_draws)]
        stand_ins["class_gaussian"] = class_gaussian_draws(real.x_train, real.classes_train, wanted, rng)
    out: dict[str, float] = {}
    for name, x in stand_ins.items():
        against = without if name == "real_train" else real
        out |= {f"baseline/{name}/{key}": v for key, v in _one(x, against, judge, rng, seed).items()}
    _, p = judged(judge, _tensor(real.x_test, judge))
    return out | {"baseline/judge/accuracy": float((p.argmax(1) == real.y_test).mean())}


def chain_metrics(states: np.ndarray, real: Reference, judge: Judge, *, seed: int) -> dict[str, float]:
    """Return how a Markov chain's last states (n_chains, n_vars) look: share class-like, classes reached, coverage."""
    _, p = judged(judge, _tensor(states, judge))
    sure = p.max(1) >= CONFIDENT
    counts = np.bincount(p.argmax(1)[sure], minlength=p.shape[1]) / max(sure.sum(), 1)
    entropy = -(counts[counts > 0] * np.log(counts[counts > 0])).sum()
    some = _some(real.x_test, len(states), np.random.default_rng(seed))
    features = [judged(judge, _tensor(x, judge))[0] for x in (some, states)]
    return {
        "confident": float(sure.mean()),
        "classes": float(np.exp(entropy)) if sure.any() else 0.0,
        "coverage": manifold_metrics(*features)["coverage"],
    }


def _tensor(x: np.ndarray, judge: Judge) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)).to(judge.centre.device)


def _some(x: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return x if len(x) <= n else x[np.sort(rng.choice(len(x), n, replace=False))]


def _one(x: np.ndarray, real: Reference, judge: Judge, rng: np.random.Generator, seed: int) -> dict[str, float]:
    if not np.isfinite(x).all():
        raise DataError(f"draws: {int((~np.isfinite(x)).any(1).sum())} of {len(x)} rows are not finite")
    n = min(MAX_ROWS, len(x), len(real.x_test))  # as many of one as of the other
    x, test, train = _some(x, n, rng), _some(real.x_test, n, rng), _some(real.x_train, 5 * MAX_ROWS, rng)
    of_draws, p = judged(judge, _tensor(x, judge))
    of_test, of_train = (judged(judge, _tensor(rows, judge))[0] for rows in (test, _some(real.x_train, n, rng)))
    two_sample = classifier_two_sample(of_test, of_draws, seed=seed)
    out = {"frechet": frechet_distance(of_test, of_draws), "frechet_floor": frechet_distance(of_test, of_train)}
    out |= manifold_metrics(of_test, of_draws)
    out |= {"mmd2": mmd2(of_test, of_draws, seed=seed), "two_sample_auroc": two_sample["auroc"]}
    out |= {"confident": float((p.max(1) >= CONFIDENT).mean())}
    out |= memorisation(train, test, x) | moment_agreement(test, x)
    if judge.kind != "images":
        out |= {"gamma": correlation_agreement(test, x)["gamma"]}
    return out


def _conditional(x: np.ndarray, y: np.ndarray, real: Reference, judge: Judge, seed: int) -> dict[str, float]:
    """Return whether draws have the class they were to have, and what a classifier learns from them."""
    out = {"control_accuracy": float((judged(judge, _tensor(x, judge))[1].argmax(1) == y).mean())}
    if judge.kind == "images":  # a linear classifier of ten thousands of pixels rows says little, and takes minutes
        return out
    parts = (x, y, real.x_train, real.y_train, real.x_test, real.y_test)
    out |= train_on_synthetic(*parts, seed=seed)
    few, n = min(N_FEW, len(real.x_train) // 2), min(N_ADDED, len(x))
    found = augmentation(real.x_train, real.y_train, x[:n], y[:n], real.x_test, real.y_test, n_real=few, seed=seed)
    return out | {f"augmentation/{key}": float(value) for key, value in found.items()}

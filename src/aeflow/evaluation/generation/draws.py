"""How good a model's draws are, sampler by sampler, beside floors and ceilings made of real rows.

Names are generation/{sampler}/{metric}; generation/baseline/{what}/{metric} needs no model: `real_train` puts as many
training rows in the place of draws (what a perfect generator would get), `class_gaussian` a Gaussian per class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from aeflow.errors import UndefinedError
from aeflow.evaluation.generation.augmentation import augmentation, train_on_synthetic
from aeflow.evaluation.generation.correlations import class_gaussian_draws, correlation_agreement
from aeflow.evaluation.generation.judge import Judge, judged
from aeflow.evaluation.generation.manifold import manifold_metrics, memorisation
from aeflow.evaluation.generation.moments import moment_agreement
from aeflow.evaluation.generation.two_samples import classifier_two_sample, frechet_distance, mmd2
from aeflow.evaluation.metric import Metric, declare, defined, measured
from aeflow.scoring.space import kept

MAX_ROWS = 2000  # of either side: neighbours and kernels cost the square of it
CONFIDENT = 0.9  # probability of a class above which a draw looks like one of it
N_FEW = 50  # real rows of the augmentation experiment
N_ADDED = 1000

_DRAWS = "of draws and as many test rows, in the judge's features"
declare("generation", "frechet", "lower", f"Frechet distance {_DRAWS}. Not comparable with any FID.")
declare("generation", "frechet_floor", "none", "The same distance of training rows to the same test rows.")
declare("generation", "precision", "higher", "Share of draws near a test row (Kynkäänniemi et al. 2019, k = 3).")
declare("generation", "recall", "higher", "Share of test rows near a draw (Kynkäänniemi et al. 2019, k = 3).")
declare("generation", "density", "higher", "Test-row balls that hold a draw, per draw (Naeem et al. 2020, k = 5).")
declare("generation", "coverage", "higher", "Share of test-row balls that hold a draw (Naeem et al. 2020, k = 5).")
declare("generation", "mmd2", "lower", f"Squared kernel two-sample distance {_DRAWS}.")
declare(
    "generation",
    "two_sample_auroc",
    "lower",
    f"Best cross-validated classifier {_DRAWS}: 0.5 means that none can tell them apart.",
)
declare("generation", "confident", "higher", "Share of draws of which the judge is sure (probability of 0.9 or more).")
declare(
    "generation",
    "copies",
    "lower",
    "Share of draws nearer to a training row than 99 % of test rows are: 0.01 if nothing is copied.",
)
declare(
    "generation",
    "distance_ratio",
    "none",
    "Median distance to the nearest training row, draws to test rows; far below 1 means copying.",
)
declare("generation", "mean_r", "higher", "Pearson correlation over variables of the means of draws and test rows.")
declare("generation", "sd_r", "higher", "Pearson correlation over variables of the standard deviations.")
declare("generation", "sd_ratio", "none", "Mean standard deviation of draws to that of test rows.")
declare("generation", "gamma", "higher", "Agreement of gene-gene correlations with test rows (Viñas et al. 2022).")
declare("generation", "control_accuracy", "higher", "Conditional models: the judge sees the class a draw was given.")
declare("generation", "accuracy_synthetic", "higher", "Classifier trained on draws, tested on real rows.")
declare("generation", "accuracy_real", "none", "The same classifier trained on real rows: the ceiling.")
declare("generation", "majority", "none", "Accuracy of always naming the commonest training class: the floor.")
declare("generation", "accuracy", "none", "Accuracy of the judge on real test rows.")
declare("generation", "classes", "higher", "Exponential of the entropy of the classes that the judge sees.")
_FEW = "classifier of 50 real rows"
declare("augmentation", "accuracy_real", "none", f"Accuracy on test rows of a {_FEW}.")
declare("augmentation", "accuracy_augmented", "higher", f"The same, with up to 1,000 draws added to the {_FEW}.")
declare("augmentation", "accuracy_control", "none", "The same, with as many real rows added, or all there are.")
for _name in ("accuracy_real", "accuracy_augmented", "accuracy_control"):
    declare("augmentation", f"{_name}_sd", "none", f"Standard deviation of {_name} over repeats.")
declare("augmentation", "n_real", "none", "Real rows of the augmentation.")
declare("augmentation", "n_added", "none", "Draws that were added.")
declare("augmentation", "n_control", "none", "Real rows that were added in the control.")
declare("augmentation", "n_repeats", "none", "Repeats over which accuracies are means.")


@dataclass
class Reference:
    """What draws are held against; all in the dataset's space, labels as the judge's class numbers.

    x_train, x_test : (n, n_vars) rows of the view; y_train, y_test : (n,) int.
    classes_train : (n_train,) what the class-Gaussian floor is conditioned on; "" where it is not known.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes_train: np.ndarray


def draw_metrics(
    draws: dict[str, np.ndarray], y_given: np.ndarray | None, real: Reference, judge: Judge, *, seed: int
) -> list[Metric]:
    """Return generation/{sampler}/... of draws {sampler: (n_draws, n_vars)}.

    y_given : (n_draws,) the class each draw was to have, for conditional models; else None.
    """
    rng = np.random.default_rng(seed)
    found: list[Metric] = []
    for sampler, x in draws.items():
        found += measured("generation", _one(x, real, judge, rng, seed), subject=sampler)
        if y_given is not None:
            found += _conditional(sampler, x, y_given, real, judge, seed)
    return found


def baseline_metrics(n_draws: int, real: Reference, judge: Judge, *, seed: int) -> list[Metric]:
    """Return the same for real training rows and, for expression, a Gaussian per class in the place of draws."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(real.x_train), min(n_draws, len(real.x_train) // 2), replace=False)
    rest = np.setdiff1d(np.arange(len(real.x_train)), rows)
    without = Reference(real.x_train[rest], real.y_train[rest], real.x_test, real.y_test, real.classes_train[rest])
    stand_ins = {"real_train": real.x_train[rows]}
    if judge.kind != "images":
        stand_ins |= defined("class_gaussian", lambda: {"class_gaussian": _class_gaussian(n_draws, real, rng)}, {})
    found: list[Metric] = []
    for name, x in stand_ins.items():
        against = without if name == "real_train" else real
        values = _one(x, against, judge, rng, seed)
        found += measured("generation", values, subject=f"baseline/{name}", baseline=True)
    _, p = judged(judge, _tensor(real.x_test, judge))
    right = p.argmax(1) == real.y_test
    return found + measured("generation", {"accuracy": right.mean()}, subject="baseline/judge", baseline=True)


def _class_gaussian(n_draws: int, real: Reference, rng: np.random.Generator) -> np.ndarray:
    """Return draws of a Gaussian per class of the training rows whose class is known."""
    known = real.classes_train != ""
    if not known.any():
        raise UndefinedError("no training row has a class")
    classes = real.classes_train[known]
    return class_gaussian_draws(real.x_train[known], classes, classes[rng.choice(len(classes), n_draws)], rng)


def chain_metrics(states: np.ndarray, real: Reference, judge: Judge, *, seed: int) -> dict[str, float]:
    """Return how a Markov chain's last states (n_chains, n_vars) look: share class-like, classes reached, coverage."""
    if not np.isfinite(states).all():
        raise UndefinedError(f"{(~np.isfinite(states)).any(1).sum()} of {len(states)} chains end in no finite state")
    _, p = judged(judge, _tensor(states, judge))
    sure = p.max(1) >= CONFIDENT
    counts = np.bincount(p.argmax(1)[sure], minlength=p.shape[1]) / max(sure.sum(), 1)
    entropy = -(counts[counts > 0] * np.log(counts[counts > 0])).sum()
    some = real.x_test[kept(len(real.x_test), len(states), seed)]
    features = [judged(judge, _tensor(x, judge))[0] for x in (some, states)]
    found = {"confident": float(sure.mean()), "classes": float(np.exp(entropy)) if sure.any() else 0.0}
    return found | defined("chain, coverage", lambda: {"coverage": manifold_metrics(*features)["coverage"]}, {})


def _tensor(x: np.ndarray, judge: Judge) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)).to(judge.centre.device)


def _one(x: np.ndarray, real: Reference, judge: Judge, rng: np.random.Generator, seed: int) -> dict[str, float]:
    n = min(MAX_ROWS, len(x), len(real.x_test))  # as many of one as of the other
    x = x[kept(len(x), n, rng)]
    test = real.x_test[kept(len(real.x_test), n, rng)]
    train = real.x_train[kept(len(real.x_train), 5 * MAX_ROWS, rng)]
    as_many = real.x_train[kept(len(real.x_train), n, rng)]
    of_draws, p = judged(judge, _tensor(x, judge))
    of_test, _ = judged(judge, _tensor(test, judge))
    of_train, _ = judged(judge, _tensor(as_many, judge))
    parts: dict[str, Callable[[], Mapping[str, float]]] = {
        "frechet": lambda: {
            "frechet": frechet_distance(of_test, of_draws),
            "frechet_floor": frechet_distance(of_test, of_train),
        },
        "manifold": lambda: manifold_metrics(of_test, of_draws),
        "mmd2": lambda: {"mmd2": mmd2(of_test, of_draws, seed=seed)},
        "two_sample": lambda: {"two_sample_auroc": classifier_two_sample(of_test, of_draws, seed=seed)["auroc"]},
        "confident": lambda: {"confident": float((p.max(1) >= CONFIDENT).mean())},
        "memorisation": lambda: memorisation(train, test, x),
        "moments": lambda: moment_agreement(test, x),
    }
    if judge.kind != "images":
        parts["gamma"] = lambda: {"gamma": correlation_agreement(test, x)["gamma"]}
    out: dict[str, float] = {}
    for name, compute in parts.items():
        out |= defined(f"generation, {name}", compute, {})
    return out


def _conditional(sampler: str, x: np.ndarray, y: np.ndarray, real: Reference, judge: Judge, seed: int) -> list[Metric]:
    """Return whether draws have the class they were to have, and what a classifier learns from them."""
    _, p = judged(judge, _tensor(x, judge))
    found = measured("generation", {"control_accuracy": (p.argmax(1) == y).mean()}, subject=sampler)
    if judge.kind == "images":  # a linear classifier of ten thousands of pixels rows says little, and takes minutes
        return found
    rows = (real.x_train, real.y_train), (real.x_test, real.y_test)
    of_draws = defined("train on synthetic", lambda: train_on_synthetic(x, y, *rows[0], *rows[1], seed=seed), {})
    found += measured("generation", of_draws, subject=sampler)
    few = min(N_FEW, len(real.x_train) // 2)
    n = min(N_ADDED, len(x))
    added = defined("augmentation", lambda: augmentation(*rows[0], x[:n], y[:n], *rows[1], n_real=few, seed=seed), {})
    return found + measured("augmentation", added, subject=sampler)

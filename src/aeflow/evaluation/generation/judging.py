"""A run's draws: made by every sampler its model has, written, and judged where the dataset has a judge."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from aeflow.errors import DataError, UndefinedError
from aeflow.evaluation.assessment import Assessment
from aeflow.evaluation.evaluation import Evaluation, Findings
from aeflow.evaluation.generation.draw_table import draw_frame, given_rows
from aeflow.evaluation.generation.draws import Reference, baseline_metrics, chain_metrics, draw_metrics
from aeflow.evaluation.generation.judge import labelled, load_judge
from aeflow.evaluation.generation.sampling import draw_all
from aeflow.evaluation.metric import Metric, defined, measured
from aeflow.evaluation.probes.study_probes import join
from aeflow.labels import has_label
from aeflow.models.base import AbstractClosedForm, AbstractGenerative, AbstractMarkovChain
from aeflow.table import Table

log = logging.getLogger(__name__)
CHAIN_STEPS, N_CHAINS = 1000, 200


class Generation(Evaluation):
    """Draws of every sampler and, where the dataset has a judge, how good they are.

    generate : the dataset's key of that name: n_draws of each sampler; noise: draw from p(x | z), or take its mean;
    gmm: Gaussians of the mixture on training latents, 0 for none; judge: column of the classifier that judges draws.
    """

    def __init__(self, *, generate: Mapping[str, Any]):
        self.n_draws = generate["n_draws"]
        self.noise = generate["noise"]
        self.gmm = generate["gmm"]
        self.judge = generate.get("judge")

    def evaluate(self, a: Assessment) -> Findings:
        if isinstance(a.run.model, AbstractClosedForm) and not isinstance(a.run.model, AbstractGenerative):
            return Findings()  # a closed form that cannot generate: no mixture on its latents
        codes = a.run.spec.covariates
        rows = given_rows(a.train.obs, codes, self.n_draws, a.seed)
        batch = a.train_batch
        covariates = None if batch.covariates is None else batch.covariates[rows]
        given = batch._replace(x=batch.x[rows], covariates=covariates)
        drawn = draw_all(a.run.model, batch, given, noise=self.noise, n_components=self.gmm, seed=a.seed)
        if not drawn:
            return Findings()
        draws = {}
        for sampler, x in drawn.items():
            values = a.dataset.unscaled(x.cpu().numpy())
            bad = ~np.isfinite(values).all(1)
            if bad.any():
                log.warning("generation/%s: left out: %d of %d draws are not finite", sampler, bad.sum(), len(bad))
            else:
                draws[sampler] = values
        if not draws:
            return Findings()
        given_obs = a.train.obs.iloc[rows][list(codes)]
        table = draw_frame(draws, a.dataset.var["var_id"], given_obs)
        metrics = defined("draws by the judge", lambda: self.judged(a, draws, given_obs), []) if self.judge else []
        return Findings(metrics, {"generated": table})

    def judged(self, a: Assessment, draws: dict[str, np.ndarray], given: pd.DataFrame) -> list[Metric]:
        """Return generation/... of draws in the unit before scaling, {sampler: (n_draws, n_vars)}."""
        if a.companions.judge is None:
            raise DataError(f"draws are to be judged by {self.judge!r}, but no judge was given")
        judge, description = load_judge(a.companions.judge, a.run.device)
        # back into the dataset's space, in which the judge was trained
        centre = a.dataset.var["centre"].to_numpy()
        scale = a.dataset.var["scale"].to_numpy()
        scaled = {sampler: (x - centre) / scale for sampler, x in draws.items()}
        test = a.dataset.rows("test", a.view)
        real = _reference(a.train, test, description)
        label = description["label"]
        y_given = _codes(given[label], description, "draws") if label in given else None
        metrics = draw_metrics(scaled, y_given, real, judge, seed=a.seed)
        if a.is_baseline:
            metrics += baseline_metrics(self.n_draws, real, judge, seed=a.seed)
        if isinstance(a.run.model, AbstractMarkovChain):
            states = _chains(a.run.model, test, a.seed, a.run.device)
            what = f"generation/chain{CHAIN_STEPS}"
            values = defined(what, lambda: chain_metrics(states, real, judge, seed=a.seed), {})
            metrics += measured("generation", values, subject=f"chain{CHAIN_STEPS}")
        return metrics


def _chains(model: AbstractMarkovChain, test: Table, seed: int, device: torch.device) -> np.ndarray:
    """Return the means (n_chains, n_vars) of the last states of chains that start at test rows."""
    generator = torch.Generator(device).manual_seed(seed)
    rows = np.random.default_rng(seed).choice(test.n_obs, min(N_CHAINS, test.n_obs), replace=False)
    x = torch.from_numpy(test.X[rows]).to(device)
    mean = x
    with torch.no_grad():
        for _ in range(CHAIN_STEPS):
            x, mean = model.step(x, generator)
    return mean.cpu().numpy()


def _codes(values: pd.Series, description: dict[str, Any], where: str) -> np.ndarray:
    """Return class numbers of the judge; DataError for a class it does not know."""
    position = {level: i for i, level in enumerate(description["levels"])}
    unknown = sorted(set(values.astype(str)) - set(position))
    if unknown:
        raise DataError(f"{where}: {description['label']} {unknown[0]!r} is no class of the judge: {list(position)}")
    return values.astype(str).map(position).to_numpy()


def _reference(train: Table, test: Table, description: dict[str, Any]) -> Reference:
    label = description["label"]
    columns = [c for c in ("study", "tissue", "condition") if c in train.obs] or [label]
    train = labelled(train, label)
    test = _judgeable(test, description)
    return Reference(
        x_train=train.X,
        y_train=_codes(train.obs[label], description, f"obs, {label}"),
        x_test=test.X,
        y_test=_codes(test.obs[label], description, f"obs, {label}"),
        classes_train=_joined(train.obs, columns),
    )


def _joined(obs: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Return the labels of `columns` joined by slashes (n_obs,); "" for rows that lack one: they are no class."""
    known = np.all([has_label(obs[column]) for column in columns], axis=0)
    joined = np.full(len(obs), "", dtype=object)
    joined[known] = join(obs[known], columns)
    return joined


def _judgeable(test: Table, description: dict[str, Any]) -> Table:
    """Return the test rows whose class the judge has learnt; UndefinedError if there is none.

    Left out are rows without a label, and those of a class that no training row of the dataset has.
    """
    label = description["label"]
    known = test.obs[label].astype(str).isin(description["levels"]).to_numpy()
    if not known.any():
        raise UndefinedError(f"none of {len(known)} test rows has a {label} that the judge has learnt")
    if known.all():
        return test
    log.warning("judge: %d of %d test rows have no %s that it has learnt: left out", (~known).sum(), len(known), label)
    return test.select(rows=known)

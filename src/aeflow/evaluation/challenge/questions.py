"""Challenges to models of expression: diluted tumours, injected outlier genes, explanations."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from aeflow.errors import DataError, UndefinedError
from aeflow.evaluation.assessment import Assessment
from aeflow.evaluation.challenge.dilution import SHARES, dilute, has_partner
from aeflow.evaluation.challenge.explanation import gene_contributions, set_enrichment
from aeflow.evaluation.challenge.gene_outliers import Residual, outlier_auprc, pca_residual, whole_value
from aeflow.evaluation.evaluation import Evaluation, Findings
from aeflow.evaluation.metric import Metric, declare, defined, measured
from aeflow.evaluation.task import Task
from aeflow.expression.masks import gene_mask
from aeflow.run import Run
from aeflow.scoring.names import is_baseline
from aeflow.table import Table

log = logging.getLogger(__name__)
TOP_GENES = 50  # per sample, in contributions.parquet

declare(
    "dilution",
    "auroc",
    "higher",
    "Test tumours mixed, at the share in the name (percent), in linear units into held-out normals of their tissue "
    "(and study, where there are some), against the same normals undiluted.",
)
declare("dilution", "n_tumours", "none", "Tumours that have a partner to be diluted into.")
declare(
    "gene_outliers",
    "auprc",
    "higher",
    "Area under the precision-recall curve of entries of held-out normals set to 3 or 6 standard deviations (z3, z6), "
    "one in a thousand, found by their standardised residuals.",
)
declare("gene_outliers", "auprc_of_pca", "none", "The same of a PCA of equal rank, fitted on the same training rows.")
declare("gene_outliers", "n_injected", "none", "Entries that were set.")
declare("gene_outliers", "prevalence", "none", "Share of such entries: the AUPRC of guessing.")
declare(
    "representation",
    "set_auroc",
    "higher",
    "Do the loadings of genes of one set lie together? Mean AUROC over gene sets; 0.5 if sets have no meaning there.",
)


class Challenge(Evaluation):
    """Diluted tumours, injected outlier genes and explanations of the anomalous test rows of one task.

    challenge : the dataset's key of that name, None where nothing is asked: the task's name; the gene sets come with
    the companions of the assessment. Runs to which the task does not apply are not asked.
    """

    def __init__(self, *, challenge: Mapping[str, Any] | None = None):
        self.task = challenge["task"] if challenge else None

    def evaluate(self, a: Assessment) -> Findings:
        task = next((task for task in a.tasks if task.name == self.task), None)
        if task is None:
            return Findings()
        if a.companions.gene_sets is None:
            raise DataError("challenge: no gene sets were given")
        asked = Questions(a, task)
        sets = gene_mask(a.companions.gene_sets, a.train.var, a.companions.min_genes)
        metrics = defined("dilution", asked.dilution, [])
        metrics += asked.gene_outliers()
        metrics += defined("loadings of gene sets", lambda: asked.coherence(sets.mask), [])
        tables = defined("contributions", lambda: {"contributions": asked.contributions()}, {})
        tables |= defined("enrichment", lambda: {"enrichment": asked.enrichment(sets.mask, sets.names)}, {})
        return Findings(metrics, tables)


class Questions:
    """A run, its training rows, and the normal and anomalous test rows of a task."""

    def __init__(self, a: Assessment, task: Task):
        rows = task.masks(a.test.obs, "test")
        self.a = a
        self.train = a.train
        self.normal = a.test.select(rows=rows.normal)
        self.anomaly = a.test.select(rows=rows.anomaly)
        self.residual_train = residual(a.run, a.train.X, a.train)

    def dilution(self) -> list[Metric]:
        """Return dilution/{percent}/{score}/auroc: tumours mixed into held-out normals of their tissue and study.

        If there is no normal of the same study, one of the same tissue is used; the log says how often.
        """
        from sklearn.metrics import roc_auc_score

        tumour = self.anomaly
        normal = self.normal
        match = ("tissue", "study")
        has = has_partner(tumour.obs, normal.obs, match)
        if not has.any():
            match = ("tissue",)
            has = has_partner(tumour.obs, normal.obs, match)
        log.info("dilution by %s: %d of %d tumours have a partner", " and ".join(match), has.sum(), len(has))
        if not has.any():
            raise UndefinedError("no tumour of the test rows has a normal of its tissue among them")
        tumour = tumour.select(rows=has)
        mixed = dilute(
            tumour.X,
            normal.X,
            tumour.obs,
            normal.obs,
            centre=self.train.var["centre"].to_numpy(),
            scale=self.train.var["scale"].to_numpy(),
            match=match,
            seed=self.a.seed,
        )
        X = np.concatenate([normal.X[mixed.negatives], mixed.X]).astype(np.float32)
        obs = pd.concat([normal.obs.iloc[mixed.negatives], normal.obs.iloc[mixed.partner]], ignore_index=True)
        diluted = Table(X, obs, self.train.var, self.train.unit)
        scores = self.a.run.scorer.scores(self.a.run.batch(diluted))
        n = len(mixed.negatives)
        found = measured("dilution", {"n_tumours": has.sum()})
        for share in SHARES:
            positive = np.concatenate([np.zeros(n, bool), mixed.share == share])
            chosen = positive | (np.arange(len(X)) < n)
            for name, score in scores.items():
                value = roc_auc_score(positive[chosen], score[chosen])
                about = {"subject": f"{share * 100:g}", "score": name, "baseline": is_baseline(name)}
                found += measured("dilution", {"auroc": value}, **about)
        return found

    def gene_outliers(self) -> list[Metric]:
        """Return gene_outliers/z3, z6, beside those of PCA of equal rank and, once a view, of z-scores."""
        x_train = self.train.X.astype(np.float64)
        x_normal = self.normal.X.astype(np.float64)

        def of_model(x: np.ndarray) -> np.ndarray:
            return residual(self.a.run, x, self.normal)

        def of_residual(name: str, residual_train: np.ndarray, of_rows: Residual, **about: Any) -> list[Metric]:
            found = outlier_auprc(residual_train, of_rows, x_train, x_normal, seed=self.a.seed)
            metrics: list[Metric] = []
            if of_rows is of_model:
                metrics += measured("gene_outliers", {"n_injected": found.n_injected, "prevalence": found.prevalence})
            for magnitude, value in found.auprc.items():
                metrics += measured("gene_outliers", {name: value}, score=magnitude, **about)
            return metrics

        def of_pca() -> list[Metric]:
            pca = pca_residual(x_train, min(self.a.run.spec.n_latent, min(x_train.shape) - 1))
            return of_residual("auprc_of_pca", pca(x_train), pca)

        metrics = defined("gene outliers", lambda: of_residual("auprc", self.residual_train, of_model), [])
        metrics += defined("gene outliers, PCA of equal rank", of_pca, [])
        if self.a.is_baseline:
            about = {"subject": "baseline/z_score", "baseline": True}
            measure = partial(of_residual, "auprc", x_train, whole_value, **about)
            metrics += defined("gene outliers, z-scores", measure, [])
        return metrics

    def shares(self, table: Table) -> np.ndarray:
        """Return each gene's share (n_obs, n_vars) of a row's squared error, after dividing by its typical error."""
        typical = np.square(self.residual_train).mean(0)
        x_hat = table.X.astype(np.float64) - residual(self.a.run, table.X, table)
        return gene_contributions(table.X, x_hat, np.maximum(typical, 1e-6))

    def contributions(self) -> pd.DataFrame:
        """Return the `TOP_GENES` genes of every anomalous test row: sample_id, rank, var_id, symbol, share, residual.

        share : of the row's squared error, each gene divided by its typical error on training rows.
        """
        shares = self.shares(self.anomaly)
        errors = residual(self.a.run, self.anomaly.X, self.anomaly)
        top = np.argsort(-shares, axis=1, kind="stable")[:, :TOP_GENES]
        n, k = top.shape
        symbols = self.train.var.get("symbol", self.train.var["var_id"]).to_numpy()
        columns = {
            "sample_id": np.repeat(self.anomaly.obs["sample_id"].to_numpy(), k),
            "rank": np.tile(np.arange(1, k + 1), n),
            "var_id": self.train.var["var_id"].to_numpy()[top].ravel(),
            "symbol": symbols[top].ravel(),
            "share": np.take_along_axis(shares, top, 1).ravel(),
            "residual": np.take_along_axis(errors, top, 1).ravel(),
        }
        return pd.DataFrame(columns)

    def coherence(self, mask: np.ndarray) -> list[Metric]:
        """Return representation/variables/set_auroc of models that have loadings."""
        loadings = self.a.run.loadings()
        if loadings is None:
            return []
        return measured("representation", {"set_auroc": set_coherence(loadings, mask)}, subject="variables")

    def enrichment(self, mask: np.ndarray, sets: list[str]) -> pd.DataFrame:
        """Return the gene sets whose genes lead the mean contributions of anomalous rows above those of normal rows."""
        excess = self.shares(self.anomaly).mean(0) - self.shares(self.normal).mean(0)
        size = mask.sum(0)
        usable = (size > 0) & (size < len(mask))
        if not usable.any():
            raise UndefinedError(f"every one of {len(size)} gene sets has all {len(mask)} variables, or none")
        return set_enrichment(excess, mask[:, usable], [s for s, ok in zip(sets, usable, strict=True) if ok])


def residual(run: Run, x: np.ndarray, like: Table) -> np.ndarray:
    """Return x - x_hat (n_obs, n_vars) float64 of values x that stand in the place of the rows of `like`."""
    table = Table(np.ascontiguousarray(x, dtype=np.float32), like.obs, like.var, like.unit)
    return (table.X - run.reconstruct(table)).astype(np.float64)


def set_coherence(loadings: np.ndarray, mask: np.ndarray) -> float:
    """Return how well variables of one set lie together among the loadings (n_vars, L), as a mean AUROC over sets.

    For each set, variables are ranked by the cosine of their loadings to the set's mean direction, which for a member
    leaves the member itself out; 0.5 if sets have no meaning in this space. mask : (n_vars, n_sets) of 0 and 1.
    """
    from sklearn.metrics import roc_auc_score

    v = loadings / np.maximum(np.linalg.norm(loadings, axis=1, keepdims=True), 1e-12)
    found = []
    for members in mask.T.astype(bool):
        if not 2 <= members.sum() < len(members):
            continue
        mean = v[members].sum(0)
        rest = mean - v * members[:, None]
        cosine = (v * rest).sum(1) / np.maximum(np.linalg.norm(rest, axis=1), 1e-12)
        found.append(roc_auc_score(members, cosine))
    if not found:
        raise UndefinedError(f"no gene set has 2 of {len(mask)} variables or more, but not all")
    return float(np.mean(found))

"""Harder questions to a model of expression, where whole tumours are no task any more."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd

from aeflow.errors import DataError
from aeflow.evaluation.challenge.dilution import SHARES, dilute, has_partner
from aeflow.evaluation.challenge.explanation import gene_contributions, set_enrichment
from aeflow.evaluation.challenge.gene_outliers import outlier_auprc, pca_residual, whole_value
from aeflow.evaluation.representation.latents import set_coherence
from aeflow.models.base import AbstractAutoencoder, AbstractLinear
from aeflow.run_folder import as_batch
from aeflow.scoring.scores import anomaly_scores, reconstruct_all
from aeflow.table import Table
from aeflow.views import rows_of

log = logging.getLogger(__name__)
TOP_GENES = 50  # per sample, in contributions.parquet


class Challenge:
    """A trained model, its training rows and the test rows of a task.

    train, val : training and validation rows of the run's view, the latter for combined scores; test : all test rows;
    task : config entry with normal and anomaly.
    """

    def __init__(
        self,
        model: AbstractAutoencoder,
        codes: dict[str, Any],
        train: Table,
        val: Table,
        test: Table,
        task: dict[str, Any],
        view: dict[str, list],
        seed: int,
    ):
        self.model, self.codes, self.train, self.val, self.seed = model, codes, train, val, seed
        self.device = next(iter(model.state_dict().values())).device
        normal = rows_of(test.obs, task.get("normal", view), "task, normal")
        if task["anomaly"] == "outside_view":
            anomaly = ~rows_of(test.obs, view, "task, view")
        else:
            anomaly = rows_of(test.obs, task["anomaly"], "task, anomaly")
        if not normal.any() or not anomaly.any():
            raise DataError(f"task {task}: {normal.sum()} normal and {anomaly.sum()} anomalous test rows")
        self.normal, self.anomaly = test.select(rows=normal), test.select(rows=anomaly)

    def dilution(self, n_importance: int) -> dict[str, float]:
        """Return dilution/{percent}/{score}/auroc: tumours mixed into held-out normals of their tissue and study.

        Where no normal of the same study is at hand one of the same tissue serves; the log says how many.
        """
        from sklearn.metrics import roc_auc_score

        tumour, normal = self.anomaly, self.normal
        match = ("tissue", "study")
        has = has_partner(tumour.obs, normal.obs, match)
        if not has.any():
            match = ("tissue",)
            has = has_partner(tumour.obs, normal.obs, match)
        log.info("dilution by %s: %d of %d tumours have a partner", " and ".join(match), has.sum(), len(has))
        if not has.any():
            raise DataError("dilution: no tumour of the test rows has a normal of its tissue among them")
        tumour = tumour.select(rows=has)
        centre, scale = self.train.var["centre"].to_numpy(), self.train.var["scale"].to_numpy()
        values, sheets = (tumour.X, normal.X), (tumour.obs, normal.obs)
        mixed = dilute(*values, *sheets, centre=centre, scale=scale, match=match, seed=self.seed)
        rows = np.concatenate([normal.X[mixed.negatives], mixed.X])
        obs = pd.concat([normal.obs.iloc[mixed.negatives], normal.obs.iloc[mixed.partner]], ignore_index=True)
        table = Table(rows.astype(np.float32), obs, self.train.var, self.train.unit)
        train, diluted, val = (as_batch(t, self.codes, self.device) for t in (self.train, table, self.val))
        found = anomaly_scores(self.model, train, diluted, n_importance=n_importance, seed=self.seed, calibration=val)
        n, out = len(mixed.negatives), {"dilution/n_tumours": int(has.sum())}
        for share in SHARES:
            positive = np.concatenate([np.zeros(n, bool), mixed.share == share])
            chosen = positive | (np.arange(len(rows)) < n)
            for name, score in found.items():
                out[f"dilution/{share * 100:g}/{name}/auroc"] = float(roc_auc_score(positive[chosen], score[chosen]))
        return out

    def residual(self, x: np.ndarray, obs: pd.DataFrame) -> np.ndarray:
        """Return x - x_hat (n_obs, n_vars)."""
        table = Table(np.ascontiguousarray(x, dtype=np.float32), obs, self.train.var, self.train.unit)
        batch = as_batch(table, self.codes, self.device)
        return (batch.x - reconstruct_all(self.model, batch)).cpu().numpy().astype(np.float64)

    def gene_outliers(self, baselines: bool) -> dict[str, float]:
        """Return gene_outliers/z3/auprc and z6, with those of PCA of equal rank and, of one run, of z-scores."""
        x_train, x_normal = self.train.X.astype(np.float64), self.normal.X.astype(np.float64)
        sheets = {len(x_train): self.train.obs, len(x_normal): self.normal.obs}
        if len(sheets) < 2:
            raise DataError(f"gene outliers: {len(x_train)} training and as many test rows cannot be told apart")
        found = outlier_auprc(lambda x: self.residual(x, sheets[len(x)]), x_train, x_normal, seed=self.seed)
        out = {f"gene_outliers/{key}": value for key, value in found.items()}
        rank = min(self.model.n_latent, min(x_train.shape) - 1)
        floor = outlier_auprc(pca_residual(x_train, rank), x_train, x_normal, seed=self.seed)
        out |= {f"gene_outliers/pca_of_equal_rank/{k}": v for k, v in floor.items() if k.endswith("auprc")}
        if baselines:
            floor = outlier_auprc(whole_value, x_train, x_normal, seed=self.seed)
            out |= {f"gene_outliers/baseline/z_score/{k}": v for k, v in floor.items() if k.endswith("auprc")}
        return out

    def _shares(self, table: Table) -> np.ndarray:
        typical = np.square(self.residual(self.train.X, self.train.obs)).mean(0)
        x_hat = table.X.astype(np.float64) - self.residual(table.X, table.obs)
        return gene_contributions(table.X, x_hat, np.maximum(typical, 1e-6))

    def contributions(self) -> pd.DataFrame:
        """Return the `TOP_GENES` genes of every anomalous test row: sample_id, rank, var_id, share, residual.

        share : of the row's squared error, each gene divided by its typical error on training rows.
        """
        shares, residual = self._shares(self.anomaly), self.residual(self.anomaly.X, self.anomaly.obs)
        top = np.argsort(-shares, axis=1, kind="stable")[:, :TOP_GENES]
        n, k = top.shape
        symbols = self.train.var.get("symbol", self.train.var["var_id"]).to_numpy()
        columns = {
            "sample_id": np.repeat(self.anomaly.obs["sample_id"].to_numpy(), k),
            "rank": np.tile(np.arange(1, k + 1), n),
            "var_id": self.train.var["var_id"].to_numpy()[top].ravel(),
            "symbol": symbols[top].ravel(),
            "share": np.take_along_axis(shares, top, 1).ravel(),
            "residual": np.take_along_axis(residual, top, 1).ravel(),
        }
        return pd.DataFrame(columns)

    def coherence(self, mask: np.ndarray) -> dict[str, float]:
        """Return representation/variables/set_auroc: are loadings of genes of one set alike? {} without loadings."""
        if not isinstance(self.model, AbstractLinear):
            return {}
        loadings = self.model.loadings().cpu().numpy().astype(np.float64)
        return {"representation/variables/set_auroc": set_coherence(loadings, mask)}

    def enrichment(self, mask: np.ndarray, sets: list[str]) -> pd.DataFrame:
        """Return the gene sets whose genes lead the mean contributions of anomalous rows above those of normal rows."""
        excess = self._shares(self.anomaly).mean(0) - self._shares(self.normal).mean(0)
        size = mask.sum(0)
        usable = (size > 0) & (size < len(mask))
        return set_enrichment(excess, mask[:, usable], [s for s, ok in zip(sets, usable, strict=True) if ok])

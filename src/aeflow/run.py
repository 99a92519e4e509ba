"""Run: one model on one view of a dataset with one seed; results/runs/{dataset}/{view}/{model}/seed{seed}."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from aeflow.dataset.batch import as_batch
from aeflow.dataset.dataset import Dataset
from aeflow.errors import DataError
from aeflow.models.base import AbstractAutoencoder, AbstractGenerative, AbstractLinear, Batch
from aeflow.models.build import load_model
from aeflow.scoring.family import Reference
from aeflow.scoring.forward import encode_all, reconstruct_all
from aeflow.scoring.scores import Scorer, ScoreSettings
from aeflow.table import Table
from aeflow.training.specification import Specification

RUN_FILES = {"weights": "model.safetensors", "specification": "model.json", "history": "history.parquet"}


class Run:
    """A trained model that can be applied to rows of its dataset, or to new rows with the same variables.

    dataset : needed by `scores`, which compare with training rows.
    """

    def __init__(
        self,
        spec: Specification,
        model: AbstractAutoencoder,
        device: torch.device,
        *,
        dataset: Dataset | None = None,
        score_settings: ScoreSettings | None = None,
    ):
        self.spec = spec
        self.model = model
        self.device = device
        self.dataset = dataset
        self.score_settings = score_settings or ScoreSettings()

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        device: str | torch.device = "cpu",
        dataset: Dataset | None = None,
        score_settings: ScoreSettings | None = None,
    ) -> Run:
        """Return the run of a folder, its model in evaluation mode on `device`.

        DataError if a file is missing, or the run was trained on other data than `dataset` holds.
        """
        folder = Path(folder)
        for name in (RUN_FILES["specification"], RUN_FILES["weights"]):
            if not (folder / name).is_file():
                raise DataError(f"{folder}: no file {name}, so it is not the folder of a trained run")
        spec = Specification.read(folder / RUN_FILES["specification"])
        if dataset is not None and dataset.data_hash != spec.data_hash:
            raise DataError(f"{folder}: trained on other data than {dataset.name!r} holds now (data_hash differs)")
        device = torch.device(device)
        model = load_model(folder / RUN_FILES["weights"], folder / RUN_FILES["specification"], device)
        return cls(spec, model, device, dataset=dataset, score_settings=score_settings)

    def batch(self, table: Table) -> Batch:
        """Return all rows of a table on the run's device, with the covariates that its model is given.

        DataError if the table's variables are not those that the model was trained on.
        """
        if table.n_vars != self.spec.n_vars:
            raise DataError(f"run {self.name}: trained on {self.spec.n_vars} variables, given {table.n_vars}")
        return as_batch(table, self.spec.covariates, self.device)

    @property
    def name(self) -> str:
        """Return dataset/view/model/seed{n}."""
        spec = self.spec
        return f"{spec.dataset}/{spec.view}/{spec.model}/seed{spec.seed}"

    def encode(self, table: Table) -> np.ndarray:
        """Return latents (n_obs, n_latent) float32."""
        return encode_all(self.model, self.batch(table))

    def reconstruct(self, table: Table) -> np.ndarray:
        """Return x_hat (n_obs, n_vars) float32, in the unit of the table."""
        return reconstruct_all(self.model, self.batch(table)).cpu().numpy()

    def scores(self, table: Table) -> dict[str, np.ndarray]:
        """Return {family/score: (n_obs,) float64} of every score; higher means more anomalous."""
        return self.scorer.scores(self.batch(table), table.obs["sample_id"].tolist())

    def generate(self, n_draws: int, *, seed: int = 0, noise: bool = True, like: Table | None = None) -> np.ndarray:
        """Return x (n_draws, n_vars) drawn from the model, in the dataset's unit.

        noise : draw from p(x | z), or take its mean. like : rows whose covariates the draws of a conditional model are
        given, one a draw. DataError if the model cannot generate.
        """
        if not isinstance(self.model, AbstractGenerative):
            raise DataError(f"run {self.name}: {self.spec.architecture} cannot generate")
        if self.spec.covariates and (like is None or like.n_obs != n_draws):
            raise DataError(f"run {self.name}: is conditional: needs {n_draws} rows to take conditions from")
        covariates = self.batch(like).covariates if like is not None else None
        generator = torch.Generator(self.device).manual_seed(seed)
        with torch.no_grad():
            x = self.model.generate(n_draws, generator, noise=noise, covariates=covariates)
        return x.cpu().numpy()

    def loadings(self) -> np.ndarray | None:
        """Return (n_vars, n_latent) float64 of a model that decodes linearly, None of others."""
        if not isinstance(self.model, AbstractLinear):
            return None
        with torch.no_grad():
            return self.model.loadings().cpu().numpy().astype(np.float64)

    @cached_property
    def scorer(self) -> Scorer:
        """Every score family, fitted on the training rows of the run's view."""
        if self.dataset is None:
            raise DataError(f"run {self.name}: scores compare with training rows; open the run with its dataset")
        train = self.dataset.rows("train", self.spec.view_filter)
        val = self.dataset.rows("val", self.spec.view_filter)
        settings = self.score_settings
        reference = Reference(
            self.model,
            self.batch(train),
            seed=self.spec.seed,
            n_importance=settings.n_importance,
            mixture_rows=settings.mixture_rows,
            calibration=self.batch(val),
        )
        return Scorer(settings.families, reference)

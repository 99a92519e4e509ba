"""Specification: everything about a trained run except its weights; the content of model.json."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from aeflow.dataset.covariates import CovariateCodes
from aeflow.errors import DataError
from aeflow.files import read_json

OPTIONAL = ("gene_sets", "gene_set_coverage")  # keys that model.json has for models shaped by gene sets only


@dataclass(frozen=True)
class Specification:
    """The request and the outcome of a run; nothing in it changes when the run is repeated.

    Attributes
    ----------
    dataset, view, model, seed : which run it is.
    architecture, hyperparameters : file.Class below aeflow.models, and its keyword arguments.
    training : settings of `aeflow.training.fit.fit`.
    view_filter : rows it was trained on. permuted : whether their columns were shuffled, as a control.
    covariates : codes of the columns given to a conditional model; n_covariates : encoded columns, or None.
    choice : how a hyperparameter was chosen, {} if none was.
    data_hash, origin, unit, unit_before_scale, n_vars : of the dataset.
    outcome : type of the likelihood ("continuous", "binary" or "counts"), None without one.
    best_epoch : 1-based; 0 for closed forms.
    gene_sets, gene_set_coverage : names of the sets that shape the model, and what they cover; None for others.
    """

    dataset: str
    view: str
    model: str
    seed: int
    architecture: str
    hyperparameters: dict[str, Any]
    training: dict[str, Any]
    view_filter: dict[str, list]
    covariates: CovariateCodes
    permuted: bool
    n_covariates: int | None
    choice: dict[str, Any]
    data_hash: str
    origin: str
    unit: str
    unit_before_scale: str
    n_vars: int
    outcome: str | None
    n_obs_train: int
    n_obs_val: int
    n_latent: int
    n_parameters: int
    n_epochs: int
    best_epoch: int
    versions: dict[str, str]
    gene_sets: list[str] | None = None
    gene_set_coverage: dict[str, Any] | None = None

    @classmethod
    def read(cls, path: str | Path) -> Specification:
        """Return the content of a model.json; DataError, naming file and key, if it is not one."""
        try:
            content = read_json(path)
        except ValueError as error:
            raise DataError(f"{path}: not JSON: {error}") from error
        try:
            codes = CovariateCodes.from_json(content.pop("covariates"))
            return cls(**content, covariates=codes)
        except (AttributeError, KeyError, TypeError) as error:
            raise DataError(f"{path}: is no specification of a run: {error}") from None

    def as_json(self) -> dict[str, Any]:
        """Return the content of model.json."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        content["covariates"] = self.covariates.to_json()
        return {key: value for key, value in content.items() if key not in OPTIONAL or value is not None}

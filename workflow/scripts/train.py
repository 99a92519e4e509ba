"""Train one model on one view of a dataset."""

from aeflow.job import start_job

job = start_job(snakemake)

from pathlib import Path

import torch

from aeflow.dataset.batch import as_batch
from aeflow.dataset.covariates import CovariateCodes
from aeflow.dataset.dataset import Dataset
from aeflow.errors import ConfigError
from aeflow.expression.masks import gene_mask
from aeflow.files import write_frame, write_json
from aeflow.models.build import build
from aeflow.plan.sample_sheet import check_sheet
from aeflow.training.checkpoint import Checkpoint, save_tensors
from aeflow.training.choose import fit_chosen
from aeflow.training.describe import describe, fingerprint
from aeflow.training.permute import permuted
from aeflow.training.settings import TrainingSettings

inputs = snakemake.input
params = snakemake.params
out = snakemake.output
seed = int(snakemake.wildcards.seed)
device = job.device()

dataset = Dataset.open(Path(inputs.dataset).parent)
check_sheet(dataset.obs, dataset.name, snakemake.config)
train = dataset.rows("train", params.view)
val = dataset.rows("val", params.view)
if params.permute:  # a control: what remains when no variable knows of another
    train = permuted(train, seed)
    val = permuted(val, seed + 1)
codes = CovariateCodes.fit(train.obs, params.condition_on)
settings = TrainingSettings(**params.training)
job.log.info("%s on %d rows, %d variables, %s", params.architecture, train.n_obs, train.n_vars, settings)

run = {
    "dataset": snakemake.wildcards.dataset,
    "view": snakemake.wildcards.view,
    "model": snakemake.wildcards.model,
    "seed": seed,
    "architecture": params.architecture,
    "training": vars(settings),
    "view_filter": params.view,
    "covariates": codes,
    "permuted": params.permute,
    "n_covariates": codes.n_covariates,
}
mask = None
if inputs.get("gene_sets"):
    sets = gene_mask(inputs.gene_sets, train.var, params.min_genes)
    mask = torch.from_numpy(sets.mask)
    run["gene_sets"] = sets.names
    run["gene_set_coverage"] = sets.coverage
same_result = fingerprint(
    inputs.code,
    run=run | {"covariates": codes.to_json()},
    hyperparameters=params.hyperparameters,
    choose=params.choose,
    data=dataset.data_hash,
    threads=job.threads,
    device=str(device),
)


def make(hyperparameters):
    try:
        model = build(params.architecture, train.n_vars, hyperparameters, mask, run["n_covariates"])
    except ValueError as error:  # keywords that exclude each other, or do not suit the data
        raise ConfigError(f"models.{snakemake.wildcards.model}: {error}") from error
    return model.to(device)


def checkpoint(name):
    return Checkpoint(f"{params.checkpoint}/{name}", same_result)


fitted = fit_chosen(
    make,
    params.hyperparameters,
    params.choose,
    as_batch(train, codes, device),
    as_batch(val, codes, device),
    settings,
    seed=seed,
    checkpoint=checkpoint,
)
spec = describe(run, fitted, dataset, n_train=train.n_obs, n_val=val.n_obs)
save_tensors(fitted.model.state_dict(), out.weights)
write_frame(fitted.history, out.history)
write_json(spec.as_json(), out.model)
Checkpoint(params.checkpoint, same_result).remove()

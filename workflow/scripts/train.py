"""Train one model on one view of a dataset."""

from aeflow.job import start_job

job = start_job(snakemake)

from aeflow.dataset.covariates import fit_codes, n_covariates
from aeflow.files import read_json, write_frame, write_json
from aeflow.models.build import build
from aeflow.run_folder import as_batch, describe, fingerprint, gene_mask, permuted, read_view
from aeflow.training.checkpoint import Checkpoint, save_tensors
from aeflow.training.choose import fit_chosen
from aeflow.training.fit import TrainingSettings

inputs, params, out, w = snakemake.input, snakemake.params, snakemake.output, snakemake.wildcards
device, seed = job.device(), int(w.seed)
train, val = (read_view(X, inputs.obs, inputs.var, params.view) for X in (inputs.X_train, inputs.X_val))
if params.permute:  # a control: what remains when no variable knows of another
    train, val = permuted(train, seed), permuted(val, seed + 1)
dataset = read_json(inputs.dataset)
mask, sets = gene_mask(inputs.gene_sets, train.var, params.min_genes) if inputs.get("gene_sets") else (None, {})
codes = fit_codes(train.obs, params.condition_on)
settings = TrainingSettings(**params.training)
job.log.info("%s on %d rows, %d variables, %s", params.architecture, train.n_obs, train.n_vars, settings)

run = {**dict(w.items()), "seed": seed, "architecture": params.architecture, "hyperparameters": params.hyperparameters}
run |= {"training": vars(settings), "view_filter": params.view, "covariates": codes, "permuted": params.permute, **sets}
run["n_covariates"] = n_covariates(codes)
decides = {"data": dataset["data_hash"], "threads": job.threads, "device": str(device), "choose": params.choose}
same_result = fingerprint(inputs.code, run=run, **decides)
fitted = fit_chosen(
    lambda chosen: build(params.architecture, train.n_vars, chosen, mask, run["n_covariates"]).to(device),
    *(params.hyperparameters, params.choose, as_batch(train, codes, device), as_batch(val, codes, device), settings),
    seed=seed,
    checkpoint=lambda name: Checkpoint(f"{params.checkpoint}/{name}", same_result),
)
save_tensors(fitted.model.state_dict(), out.weights)
write_frame(fitted.history, out.history)
write_json(describe(run, fitted, dataset, n_train=train.n_obs, n_val=val.n_obs), out.model)
Checkpoint(params.checkpoint, same_result).remove()

"""Train one model on one view of a dataset."""

from aeflow.job import start_job

job = start_job(snakemake)

import torch

from aeflow.checkpoint import Checkpoint, save_tensors
from aeflow.files import read_json, write_frame, write_json
from aeflow.models.build import build
from aeflow.run_folder import describe, fingerprint, gene_mask, read_view
from aeflow.training import TrainingSettings, fit

inputs, params, out, w = snakemake.input, snakemake.params, snakemake.output, snakemake.wildcards
device, seed = job.device(), int(w.seed)
train, val = (read_view(X, inputs.obs, inputs.var, params.view) for X in (inputs.X_train, inputs.X_val))
dataset = read_json(inputs.dataset)
mask, sets = gene_mask(inputs.gene_sets, train.var, params.min_genes) if inputs.get("gene_sets") else (None, {})

torch.manual_seed(seed)  # initial weights
model = build(params.architecture, train.n_vars, params.hyperparameters, mask).to(device)
settings = TrainingSettings(**params.training)
job.log.info("%s on %d rows, %d variables, %s", params.architecture, train.n_obs, train.n_vars, settings)

run = {**dict(w.items()), "seed": seed, "architecture": params.architecture, "hyperparameters": params.hyperparameters}
run |= {"training": vars(settings), "view_filter": params.view, **sets}
same_result = fingerprint(inputs.code, run=run, data=dataset["data_hash"], threads=job.threads, device=str(device))
checkpoint = Checkpoint(params.checkpoint, same_result)
tensors = (torch.from_numpy(table.X).to(device) for table in (train, val))
history, best_epoch = fit(model, *tensors, settings, seed=seed, checkpoint=checkpoint)

save_tensors(model.state_dict(), out.weights)
write_frame(history, out.history)
write_json(
    describe(run, model, dataset, n_train=train.n_obs, n_val=val.n_obs, history=history, best=best_epoch), out.model
)
checkpoint.remove()

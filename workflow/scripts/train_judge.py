"""Train the classifier that judges draws of a dataset's models."""

from aeflow.job import start_job

job = start_job(snakemake)

import torch

from aeflow.evaluation.generation.judge import judged, train_judge
from aeflow.files import write_json
from aeflow.run_folder import read_view
from aeflow.training.checkpoint import save_tensors

inputs, params, out = snakemake.input, snakemake.params, snakemake.output
device = job.device()
train, test = (read_view(X, inputs.obs, inputs.var, {}) for X in (inputs.X_train, inputs.X_test))
levels = sorted(train.obs[params.label].astype(str).unique())
y = torch.tensor(train.obs[params.label].astype(str).map(levels.index).to_numpy(), device=device)
judge = train_judge(torch.from_numpy(train.X).to(device), y, len(levels), params.kind, params.seed)
seen = judged(judge, torch.from_numpy(test.X).to(device))[1].argmax(1)
accuracy = float((test.obs[params.label].astype(str).to_numpy() == [levels[i] for i in seen]).mean())
job.log.info("accuracy on %d real test rows: %.4f", test.n_obs, accuracy)
save_tensors(judge.state_dict(), out.weights)
description = {"label": params.label, "levels": levels, "kind": params.kind, "n_vars": train.n_vars}
write_json(description | {"test_accuracy": accuracy}, out.description)

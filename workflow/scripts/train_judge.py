"""Train the classifier that judges draws of a dataset's models."""

from aeflow.job import start_job

job = start_job(snakemake)

from pathlib import Path

import torch

from aeflow.dataset.dataset import Dataset
from aeflow.evaluation.generation.judge import judged, labelled, train_judge
from aeflow.files import write_json
from aeflow.training.checkpoint import save_tensors

params = snakemake.params
out = snakemake.output
device = job.device()

dataset = Dataset.open(Path(snakemake.input.dataset).parent)
train = labelled(dataset.rows("train"), params.label)
test = labelled(dataset.rows("test"), params.label)
for split, rows in (("training", train), ("test", test)):
    job.log.info("%d %s rows have a %s; the others are left out", rows.n_obs, split, params.label)
levels = sorted(train.obs[params.label].astype(str).unique())
y = torch.tensor(train.obs[params.label].astype(str).map(levels.index).to_numpy(), device=device)
judge = train_judge(torch.from_numpy(train.X).to(device), y, len(levels), params.kind, params.seed)
_, probabilities = judged(judge, torch.from_numpy(test.X).to(device))
seen = [levels[i] for i in probabilities.argmax(1)]
accuracy = float((test.obs[params.label].astype(str).to_numpy() == seen).mean())
job.log.info("accuracy on %d real test rows: %.4f", test.n_obs, accuracy)
save_tensors(judge.state_dict(), out.weights)
description = {
    "label": params.label,
    "levels": levels,
    "kind": params.kind,
    "n_vars": train.n_vars,
    "test_accuracy": accuracy,
}
write_json(description, out.description)

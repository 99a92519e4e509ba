"""Draw test images beside what each model gives back."""

from aeflow.job import start_job

job = start_job(snakemake)

import torch

from aeflow.files import read_json
from aeflow.models.build import load_model
from aeflow.plots.images import first_of_each, reconstruction_grid
from aeflow.plots.style import save
from aeflow.scores import reconstruct_all
from aeflow.table import read_table

inputs, w = snakemake.input, snakemake.wildcards
table, device = read_table(inputs.X_test, inputs.obs, inputs.var), job.device()
x = torch.from_numpy(table.X[first_of_each(table.obs["digit"])]).to(device)
x_hat = {}
for weights, description in zip(inputs.weights, inputs.models, strict=True):
    model = load_model(weights, description, device)
    x_hat[read_json(description)["model"]] = reconstruct_all(model, x).cpu().numpy()
title = f"Test images of {w.dataset}, models trained on view {w.view}"
save(
    reconstruction_grid(x.cpu().numpy(), x_hat, origin=read_json(inputs.dataset)["origin"], title=title),
    snakemake.output[0],
)

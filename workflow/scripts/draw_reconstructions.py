"""Draw test images beside what each model gives back."""

from aeflow.job import start_job

job = start_job(snakemake)

from aeflow.files import read_json
from aeflow.models.build import load_model
from aeflow.plots.image_grids import first_of_each, reconstruction_grid
from aeflow.plots.style import save
from aeflow.run_folder import as_batch
from aeflow.scoring.scores import reconstruct_all
from aeflow.table import read_table

inputs = snakemake.input
device = job.device()
table = read_table(inputs.X_test, inputs.obs, inputs.var)
shown = table.select(rows=first_of_each(table.obs["digit"]))
x_hat = {}
for weights, description in zip(inputs.weights, inputs.models, strict=True):
    model = load_model(weights, description, device)
    info = read_json(description)
    x_hat[info["model"]] = reconstruct_all(model, as_batch(shown, info["covariates"], device)).cpu().numpy()
title = f"Test images of {snakemake.wildcards.dataset}, models trained on view {snakemake.wildcards.view}"
figure = reconstruction_grid(shown.X, x_hat, origin=read_json(inputs.dataset)["origin"], title=title)
save(figure, snakemake.output[0])

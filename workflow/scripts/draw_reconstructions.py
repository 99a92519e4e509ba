"""Draw test images beside what each model gives back."""

from aeflow.job import start_job

job = start_job(snakemake)

from pathlib import Path

from aeflow.dataset.dataset import Dataset
from aeflow.plots.image_grids import first_of_each, reconstruction_grid
from aeflow.plots.style import save
from aeflow.run import Run

inputs = snakemake.input
dataset = Dataset.open(Path(inputs.dataset).parent)
test = dataset.rows("test")
shown = test.select(rows=first_of_each(test.obs["digit"]))
x_hat = {}
for path in inputs.models:
    run = Run.open(Path(path).parent, device=job.device())
    x_hat[run.spec.model] = run.reconstruct(shown)
title = f"Test images of {dataset.name}, models trained on view {snakemake.wildcards.view}"
save(reconstruction_grid(shown.X, x_hat, origin=dataset.origin, title=title), snakemake.output[0])

"""Draw the figures of one run."""

from aeflow.job import start_job

start_job(snakemake)

from pathlib import Path

import pandas as pd

from aeflow.files import read_json
from aeflow.plots.run_figures import detection_figures, draws_figures, training_figure
from aeflow.plots.style import save
from aeflow.run_folder import read_draws, read_view, unscaled

inputs = snakemake.input
view = snakemake.params.view
model = read_json(inputs.model)
history = pd.read_parquet(inputs.history)
scores = pd.read_parquet(inputs.scores)
obs = pd.read_parquet(inputs.obs)

figures = {"training": training_figure(history, model)}
figures |= detection_figures(scores, obs, model, view, snakemake.params.tasks)
if inputs.get("generated"):
    draws = read_draws(pd.read_parquet(inputs.generated))
    real = None
    if inputs.get("X_test"):  # of expression: images need nothing beside them
        test = read_view(inputs.X_test, inputs.obs, inputs.var, view)
        real = unscaled(test.X, test.var)
    figures |= draws_figures(draws, real, model)
for name, figure in figures.items():
    save(figure, Path(snakemake.output[0]) / f"{name}.png")

"""Draw the figures of one run."""

from aeflow.job import start_job

start_job(snakemake)

from pathlib import Path

import pandas as pd

from aeflow.files import read_json
from aeflow.plots.run import detection_figures, draws_figures, training_figure
from aeflow.plots.style import save

inputs, params, folder = snakemake.input, snakemake.params, Path(snakemake.output[0])
model, scores, obs = read_json(inputs.model), pd.read_parquet(inputs.scores), pd.read_parquet(inputs.obs)
figures = {"training": training_figure(pd.read_parquet(inputs.history), model)}
figures |= detection_figures(scores, obs, model, params.view, params.tasks)
if inputs.get("generated"):
    tables = inputs.X_test, inputs.obs, inputs.var
    figures |= draws_figures(inputs.generated, *tables, params.view, model)
for name, figure in figures.items():
    save(figure, folder / f"{name}.png")

"""Draw the figures of one run."""

from aeflow.job import start_job

start_job(snakemake)

from pathlib import Path

import pandas as pd

from aeflow.dataset.dataset import Dataset
from aeflow.evaluation.generation.draw_table import read_draws
from aeflow.evaluation.task import Task
from aeflow.plots.run_figures import detection_figures, draws_figures, training_figure
from aeflow.plots.style import save
from aeflow.training.specification import Specification

inputs = snakemake.input
spec = Specification.read(inputs.model)
history = pd.read_parquet(inputs.history)
scores = pd.read_parquet(inputs.scores)
obs = pd.read_parquet(inputs.obs)
tasks = [Task.of_entry(name, entry, spec.view_filter) for name, entry in snakemake.params.tasks.items()]

figures = {"training": training_figure(history, spec)}
figures |= detection_figures(scores, obs, spec, tasks)
generated = Path(inputs.tables) / "generated.parquet"
if generated.is_file():  # not every model draws
    draws = read_draws(pd.read_parquet(generated))
    real = None
    if inputs.get("X_test"):  # of expression: images need nothing beside them
        dataset = Dataset.open(Path(inputs.X_test).parent)
        real = dataset.unscaled(dataset.rows("test", spec.view_filter).X)
    figures |= draws_figures(draws, real, spec)
for name, figure in figures.items():
    save(figure, Path(snakemake.output[0]) / f"{name}.png")

"""Draw the training rows of a dataset on their principal components."""

from aeflow.job import start_job

start_job(snakemake)

from pathlib import Path

from aeflow.dataset.dataset import Dataset
from aeflow.plots.components import cohort_pca
from aeflow.plots.style import save

dataset = Dataset.open(Path(snakemake.input.dataset).parent)
table = dataset.rows("train")
figure = cohort_pca(
    dataset.unscaled(table.X),
    table.obs,
    unit=dataset.unit_before_scale,
    origin=dataset.origin,
    title=f"Training rows of {dataset.name}",
)
save(figure, snakemake.output[0])

"""Draw the training rows of a dataset on their principal components."""

from pathlib import Path

from aeflow.job import start_job

start_job(snakemake)

from aeflow.dataset.dataset import Dataset
from aeflow.plots.cohort import cohort_pca
from aeflow.plots.style import save

dataset = Dataset.open(Path(snakemake.input.dataset).parent)
train = dataset.rows("train")
X = dataset.unscaled(train.X)
title = f"Training rows of {dataset.name}"
figure = cohort_pca(X, train.obs, unit=dataset.unit_before_scale, origin=dataset.origin, title=title)
save(figure, snakemake.output[0])

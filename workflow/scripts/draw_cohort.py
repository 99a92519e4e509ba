"""Draw the training rows of a dataset on their principal components."""

from aeflow.job import start_job

start_job(snakemake)

from aeflow.files import read_json
from aeflow.plots.components import cohort_pca
from aeflow.plots.style import save
from aeflow.run_folder import unscaled
from aeflow.table import read_table

inputs = snakemake.input
table = read_table(inputs.X_train, inputs.obs, inputs.var)
facts = read_json(inputs.dataset)
X = unscaled(table.X, table.var)
title = f"Training rows of {snakemake.wildcards.dataset}"
figure = cohort_pca(X, table.obs, unit=facts["unit_before_scale"], origin=facts["origin"], title=title)
save(figure, snakemake.output[0])

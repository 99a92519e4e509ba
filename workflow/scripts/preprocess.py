"""Split a cohort and fit its preprocessing on training rows."""

from pathlib import Path

from aeflow.job import start_job

job = start_job(snakemake)

from aeflow.dataset.preprocess import preprocess, write_dataset
from aeflow.dataset.split import split_rows
from aeflow.files import read_json
from aeflow.plan.sample_sheet import check_sheet
from aeflow.table import Table

inputs = snakemake.input
params = snakemake.params
table = Table.read(inputs.X, inputs.obs, inputs.var)
split = split_rows(table.obs, params.options["split"], params.seed)
rows = check_sheet(table.obs.assign(split=split), snakemake.wildcards.dataset, snakemake.config)
job.log.info("rows: %s", rows)
table, transform = preprocess(table, params.options, params.fit_on, params.seed)
n_obs = table.obs["split"].value_counts().to_dict()
job.log.info("%d variables; rows %s; fitted on %d rows", table.n_vars, n_obs, transform.n_fit_rows)
origin = read_json(inputs.quality)["origin"]
write_dataset(Path(snakemake.output.dataset).parent, snakemake.wildcards.dataset, origin, table, transform)

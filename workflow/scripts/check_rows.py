"""Hold what is asked of a dataset against the sample sheet of its cohort, before anything is fitted."""

from aeflow.job import start_job

job = start_job(snakemake)

import pandas as pd

from aeflow.files import write_json
from aeflow.plan.sample_sheet import check_sheet

rows = check_sheet(pd.read_parquet(snakemake.input.obs), snakemake.wildcards.dataset, snakemake.params.asked)
job.log.info("rows: %s", rows)
write_json(rows, snakemake.output.rows)

"""Write the raw files of a simulated cohort, and their truth."""

from aeflow.job import start_job

start_job(snakemake)

import importlib
from pathlib import Path

source = importlib.import_module(f"aeflow.sources.{snakemake.params.source}")
source.simulate(Path(snakemake.input.gene_sets), Path(snakemake.output[0]), **snakemake.params.options)

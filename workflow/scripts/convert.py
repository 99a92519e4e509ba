"""Convert one raw matrix to Parquet."""

from aeflow.job import start_job

start_job(snakemake)

import importlib
from pathlib import Path

source = importlib.import_module(f"aeflow.sources.{snakemake.wildcards.source}")
source.convert(Path(snakemake.params.raw), Path(snakemake.output[0]))

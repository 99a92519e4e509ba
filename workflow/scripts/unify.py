"""Align the matrices of a cohort into one table with a sample sheet."""

from aeflow.job import start_job

start_job(snakemake)

import importlib
from pathlib import Path

source = importlib.import_module(f"aeflow.sources.{snakemake.params.source}")
files = {name: Path(path) for name, path in zip(snakemake.params.names, snakemake.input.matrices, strict=True)}
cohort = source.unify(files, **snakemake.params.options)
out = snakemake.output
cohort.write(X=out.X, obs=out.obs, var=out.var, dropped=out.dropped, quality=out.quality)

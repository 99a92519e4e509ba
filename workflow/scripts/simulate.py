"""Write a simulated cohort as raw files in RNAseqDB's layout, and its truth."""

from aeflow.job import start_job

start_job(snakemake)

from pathlib import Path

from aeflow.sources.simulated import simulate

simulate(Path(snakemake.input.gene_sets), Path(snakemake.output[0]), **snakemake.params.options)

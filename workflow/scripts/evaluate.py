"""Compute all metrics of one run."""

from aeflow.job import start_job

start_job(snakemake)

import pandas as pd

from aeflow.evaluation.run import draw_metrics, run_metrics
from aeflow.files import read_json, write_json

inputs, params = snakemake.input, snakemake.params
scores, obs = pd.read_parquet(inputs.scores), pd.read_parquet(inputs.obs)
metrics = run_metrics(scores, obs, read_json(inputs.model), params.view, params.tasks)
if inputs.get("generated"):
    metrics |= draw_metrics(inputs.generated, inputs.X_test, inputs.obs, inputs.var, params.view)
write_json(metrics, snakemake.output[0])

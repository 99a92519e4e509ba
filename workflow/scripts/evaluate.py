"""Compute all metrics of one run, and collect those that needed its model."""

from aeflow.job import start_job

start_job(snakemake)

import pandas as pd

from aeflow.evaluation.representation.latents import subspace_metrics
from aeflow.evaluation.run_metrics import calibrated, latent_metrics, raw_metrics, run_metrics
from aeflow.files import read_json, write_frame, write_json
from aeflow.run_folder import read_loadings, read_view

inputs, params, out, seed = snakemake.input, snakemake.params, snakemake.output, int(snakemake.wildcards.seed)
scores, obs = pd.read_parquet(inputs.scores), pd.read_parquet(inputs.obs)
metrics = run_metrics(scores, obs, read_json(inputs.model), params.view, params.tasks)
heads = (params.view, params.labels, params.heads, seed)
metrics |= latent_metrics(pd.read_parquet(inputs.latent), obs, *heads)
if inputs.get("X_train") and params.labels:  # the run of PCA carries what knows no model
    tables = [read_view(X, inputs.obs, inputs.var, {}) for X in (inputs.X_train, inputs.X_test)]
    metrics |= raw_metrics(tables, *heads)
if inputs.get("exports"):
    found = subspace_metrics(read_loadings(inputs.exports), read_loadings(inputs.pca_exports))
    metrics |= {f"representation/subspace/{key}": value for key, value in found.items()}
for part in ("judged", "challenged"):
    if inputs.get(part):
        metrics |= read_json(inputs[part])
write_json(metrics, out.metrics)
rows = obs.set_index("sample_id", drop=False).loc[scores["sample_id"]].reset_index(drop=True)
write_frame(calibrated(scores, rows, params.view), out.calibrated)

"""Ask a model of expression harder questions: diluted tumours, injected outlier genes, explanations."""

from aeflow.job import start_job

job = start_job(snakemake)

from aeflow.evaluation.challenge.challenge import Challenge
from aeflow.files import read_json, write_frame, write_json
from aeflow.models.build import load_model
from aeflow.run_folder import gene_mask, read_view

inputs, params, out = snakemake.input, snakemake.params, snakemake.output
device, info = job.device(), read_json(inputs.model)
model = load_model(inputs.weights, inputs.model, device)
train, val = (read_view(X, inputs.obs, inputs.var, params.view) for X in (inputs.X_train, inputs.X_val))
test = read_view(inputs.X_test, inputs.obs, inputs.var, {})
rows, seed = (train, val, test), int(snakemake.wildcards.seed)
challenge = Challenge(model, info["covariates"], *rows, params.task, params.view, seed)
metrics = challenge.dilution(params.n_importance) | challenge.gene_outliers(info["model"] == "pca")
mask, described = gene_mask(inputs.gene_sets, train.var, params.min_genes)
metrics |= challenge.coherence(mask.numpy())
write_frame(challenge.contributions(), out.contributions)
write_frame(challenge.enrichment(mask.numpy(), described["gene_sets"]), out.enrichment)
write_json(metrics, out.metrics)

"""Hold a model's draws against real test rows."""

from aeflow.job import start_job

job = start_job(snakemake)

from aeflow.evaluation.generation.judge import load_judge
from aeflow.evaluation.generation.judging import judge_run
from aeflow.files import read_json, write_json
from aeflow.models.build import load_model
from aeflow.run_folder import read_view

inputs, params, device = snakemake.input, snakemake.params, job.device()
train, test = (read_view(X, inputs.obs, inputs.var, params.view) for X in (inputs.X_train, inputs.X_test))
model = load_model(inputs.weights, inputs.model, device)
judge, description = load_judge(inputs.judge, inputs.judge_description, device)
seed = int(snakemake.wildcards.seed)
metrics = judge_run(inputs.generated, train, test, model, judge, description, read_json(inputs.model), seed=seed)
write_json(metrics, snakemake.output[0])

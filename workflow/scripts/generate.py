"""Draw observations from a trained model, by every sampler it has."""

from aeflow.job import start_job

job = start_job(snakemake)

from aeflow.evaluation.generation.sampling import draw_all
from aeflow.files import read_json, write_frame
from aeflow.models.build import load_model
from aeflow.run_folder import as_batch, draw_frame, given_rows, read_view, unscaled

inputs, params, seed = snakemake.input, snakemake.params, int(snakemake.wildcards.seed)
device, options, codes = job.device(), snakemake.params.generate, read_json(inputs.model)["covariates"]
model = load_model(inputs.weights, inputs.model, device)
train = read_view(inputs.X_train, inputs.obs, inputs.var, params.view)
rows = given_rows(train.obs, codes, options["n_draws"], seed)
batch = as_batch(train, codes, device)
given = batch._replace(x=batch.x[rows], covariates=None if batch.covariates is None else batch.covariates[rows])
draws = draw_all(model, batch, given, noise=options["noise"], n_components=options["gmm"], seed=seed)
in_units = {sampler: unscaled(x.cpu().numpy(), train.var) for sampler, x in draws.items()}
write_frame(draw_frame(in_units, train.var["var_id"], train.obs.iloc[rows][list(codes)]), snakemake.output[0])

"""Draw observations from a trained generative model."""

from aeflow.job import start_job

job = start_job(snakemake)

import pandas as pd
import torch

from aeflow.files import read_json, write_frame
from aeflow.models.build import load_model
from aeflow.run_folder import draw_frame, given_rows, read_view, unscaled

inputs, params, seed = snakemake.input, snakemake.params, int(snakemake.wildcards.seed)
device, options, info = job.device(), snakemake.params.generate, read_json(inputs.model)
model = load_model(inputs.weights, inputs.model, device)
generator = torch.Generator(device).manual_seed(seed)
# a conditional model is given what as many training rows have
train = read_view(inputs.X_train, inputs.obs, inputs.var, params.view)
given, covariates = given_rows(train.obs, info["covariates"], options["n_draws"], seed, device)
with torch.no_grad():
    draws = model.generate(options["n_draws"], generator, noise=options["noise"], covariates=covariates).cpu().numpy()
var = pd.read_parquet(inputs.var)
write_frame(draw_frame(unscaled(draws, var), var["var_id"], given), snakemake.output[0])

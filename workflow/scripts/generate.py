"""Draw observations from a trained generative model."""

from aeflow.job import start_job

job = start_job(snakemake)

import pandas as pd
import torch

from aeflow.files import write_frame
from aeflow.models.build import load_model
from aeflow.run_folder import draw_frame, unscaled

inputs, options = snakemake.input, snakemake.params.generate
device = job.device()
model = load_model(inputs.weights, inputs.model, device)
generator = torch.Generator(device).manual_seed(int(snakemake.wildcards.seed))
with torch.no_grad():
    draws = model.generate(options["n_draws"], generator, noise=options["noise"]).cpu().numpy()
var = pd.read_parquet(inputs.var)
write_frame(draw_frame(unscaled(draws, var), var["var_id"]), snakemake.output[0])

"""Score validation rows of the view and all test rows; encode them and the training rows."""

from aeflow.job import start_job

job = start_job(snakemake)

import numpy as np
import pandas as pd

from aeflow.files import read_json, write_frame
from aeflow.models.build import load_model
from aeflow.run_folder import as_batch, concatenated, latent_frame, read_view
from aeflow.scores import anomaly_scores, encode_all

inputs, params, out = snakemake.input, snakemake.params, snakemake.output
device, codes = job.device(), read_json(inputs.model)["covariates"]
model = load_model(inputs.weights, inputs.model, device)
views = ((inputs.X_train, params.view), (inputs.X_val, params.view), (inputs.X_test, {}))
tables = [read_view(X, inputs.obs, inputs.var, view) for X, view in views]
train, val, test = (as_batch(table, codes, device) for table in tables)
obs = pd.concat([table.obs[["sample_id", "split"]] for table in tables], ignore_index=True)

z = np.concatenate([encode_all(model, rows) for rows in (train, val, test)])
write_frame(latent_frame(obs["sample_id"], obs["split"], z), out.latent)
held_out, seed = concatenated(val, test), int(snakemake.wildcards.seed)
scores = anomaly_scores(model, train, held_out, n_importance=params.n_importance, seed=seed, calibration=val)
write_frame(obs[len(train.x) :].reset_index(drop=True).assign(**scores), out.scores)

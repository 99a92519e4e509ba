"""Score validation rows (of the view, or all) and all test rows; encode the view's rows and the test rows."""

from aeflow.job import start_job

job = start_job(snakemake)

import numpy as np
import pandas as pd

from aeflow.files import read_json, write_frame
from aeflow.models.build import load_model
from aeflow.run_folder import as_batch, concatenated, latent_frame, read_view
from aeflow.scoring.scores import anomaly_scores, encode_all

inputs, params, out = snakemake.input, snakemake.params, snakemake.output
device, codes = job.device(), read_json(inputs.model)["covariates"]
model = load_model(inputs.weights, inputs.model, device)
views = ((inputs.X_train, params.view), (inputs.X_val, params.view), (inputs.X_test, {}))
tables = [read_view(X, inputs.obs, inputs.var, view) for X, view in views]
train, val, test = (as_batch(table, codes, device) for table in tables)
obs = pd.concat([table.obs[["sample_id", "split"]] for table in tables], ignore_index=True)

z = np.concatenate([encode_all(model, rows) for rows in (train, val, test)])
write_frame(latent_frame(obs["sample_id"], obs["split"], z), out.latent)
if params.validation_anomalies:  # rows outside the view, by which a task may choose its score
    tables[1] = read_view(inputs.X_val, inputs.obs, inputs.var, {})
sheet = pd.concat([table.obs[["sample_id", "split"]] for table in tables[1:]], ignore_index=True)
held_out, seed = concatenated(as_batch(tables[1], codes, device), test), int(snakemake.wildcards.seed)
draws = {"n_importance": params.n_importance, "mixture_rows": params.mixture_rows, "seed": seed}
scores = anomaly_scores(model, train, held_out, calibration=val, **draws)
write_frame(sheet.assign(**scores), out.scores)

"""Score validation rows of the view and all test rows; encode them and the training rows."""

from aeflow.job import start_job

job = start_job(snakemake)

import numpy as np
import pandas as pd
import torch

from aeflow.files import write_frame
from aeflow.models.build import load_model
from aeflow.run_folder import latent_frame, read_view
from aeflow.scores import anomaly_scores, encode_all

inputs, params, out = snakemake.input, snakemake.params, snakemake.output
device = job.device()
model = load_model(inputs.weights, inputs.model, device)
views = ((inputs.X_train, params.view), (inputs.X_val, params.view), (inputs.X_test, {}))
tables = [read_view(X, inputs.obs, inputs.var, view) for X, view in views]
train, val, test = (torch.from_numpy(table.X).to(device) for table in tables)
obs = pd.concat([table.obs[["sample_id", "split"]] for table in tables], ignore_index=True)

z = np.concatenate([encode_all(model, x) for x in (train, val, test)])
write_frame(latent_frame(obs["sample_id"], obs["split"], z), out.latent)
held_out = torch.cat([val, test])
scores = anomaly_scores(model, train, held_out, n_importance=params.n_importance, seed=int(snakemake.wildcards.seed))
write_frame(obs[len(train) :].reset_index(drop=True).assign(**scores), out.scores)

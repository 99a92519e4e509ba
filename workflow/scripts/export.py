"""Write what a model says of every observation or variable: activities, normalised expression, embeddings."""

from aeflow.job import start_job

job = start_job(snakemake)

from pathlib import Path

from aeflow.evaluation.representation.activity import activity_differences
from aeflow.files import read_json, write_frame
from aeflow.models.build import load_model
from aeflow.run_folder import as_batch, export_frames, read_view

inputs, params, folder = snakemake.input, snakemake.params, Path(snakemake.output[0])
device, info = job.device(), read_json(inputs.model)
model = load_model(inputs.weights, inputs.model, device)
views = ((inputs.X_train, params.view), (inputs.X_val, params.view), (inputs.X_test, {}))
tables = [read_view(X, inputs.obs, inputs.var, view) for X, view in views]
batches = [as_batch(table, info["covariates"], device) for table in tables]
frames = export_frames(model, info, tables, batches)
if "gene_set_activity" in frames:
    frames |= activity_differences(frames["gene_set_activity"], tables[-1].obs, params.tasks, params.view)
for name, frame in frames.items():
    write_frame(frame, folder / f"{name}.parquet")

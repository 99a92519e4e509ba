"""Split a cohort and fit its preprocessing on training rows."""

from aeflow.job import start_job

job = start_job(snakemake)

from aeflow.correction import save_correction
from aeflow.dataset.preprocess import SPLITS, preprocess
from aeflow.files import read_json, write_frame, write_json
from aeflow.run_folder import data_hash
from aeflow.table import read_table

inputs, params, out = snakemake.input, snakemake.params, snakemake.output
table = read_table(inputs.X, inputs.obs, inputs.var)
table, state, correction = preprocess(table, params.options, params.fit_on, params.seed)
n_obs = table.obs["split"].value_counts().to_dict()
job.log.info("%d variables; rows %s; fitted on %d rows", table.n_vars, n_obs, state["n_fit_rows"])
for split in SPLITS:
    table.select(rows=(table.obs["split"] == split).to_numpy()).write(out[f"X_{split}"])
write_frame(table.obs, out.obs)
write_frame(table.var, out.var)
write_json(state, out.transform)
save_correction(correction, out.correction)
origin = read_json(inputs.quality)["origin"]
facts = {"dataset": snakemake.wildcards.dataset, "origin": origin, "data_hash": data_hash(table), "unit": table.unit}
write_json(
    {**facts, "unit_before_scale": state["unit_before_scale"], "n_obs": n_obs, "n_vars": table.n_vars}, out.dataset
)

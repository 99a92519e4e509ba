"""Split a cohort and fit its preprocessing on training rows."""

from aeflow.job import start_job

job = start_job(snakemake)

from pathlib import Path

from aeflow.dataset.dataset import data_hash
from aeflow.dataset.split import SPLITS, check_split, split_rows
from aeflow.dataset.transform import Transform
from aeflow.files import read_json, write_frame, write_json
from aeflow.table import Table, read_table

inputs = snakemake.input
params = snakemake.params
out = snakemake.output

cohort = read_table(inputs.X, inputs.obs, inputs.var)
split = split_rows(cohort.obs, params.options["split"], params.seed)
check_split(split)
transform, rows = Transform.fit_apply(cohort, split, params.options, params.fit_on, params.seed)
table = Table(rows.X, rows.obs.assign(split=split), rows.var, rows.unit)
n_obs = table.obs["split"].value_counts().to_dict()
job.log.info("%d variables; rows %s; fitted on %d rows", table.n_vars, n_obs, transform.n_fit_rows)

for name in SPLITS:
    table.select(rows=split == name).write(out[f"X_{name}"])
write_frame(table.obs, out.obs)
write_frame(table.var, out.var)
transform.save(Path(out.transform).parent)
facts = {
    "dataset": snakemake.wildcards.dataset,
    "origin": read_json(inputs.quality)["origin"],
    "data_hash": data_hash(table),
    "unit": table.unit,
    "unit_before_scale": transform.unit_before_scale,
    "n_obs": n_obs,
    "n_vars": table.n_vars,
}
write_json(facts, out.dataset)

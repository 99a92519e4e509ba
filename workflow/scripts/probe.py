"""Probe what of the study, the tissue and the tumour classifiers can tell, before and after the correction."""

from pathlib import Path

from aeflow.job import start_job

start_job(snakemake)

from aeflow.dataset.transform import Transform
from aeflow.evaluation.probes.probe_dataset import log_values, probe_dataset, stages
from aeflow.files import atomic_path, read_json, write_frame
from aeflow.plots.probe_figures import probe_figure, probe_pca
from aeflow.plots.style import save
from aeflow.table import Table

inputs = snakemake.input
params = snakemake.params
out = snakemake.output
name = snakemake.wildcards.dataset
table = Table.read(inputs.X, inputs.obs, inputs.var)
origin = read_json(inputs.quality)["origin"]
entry = params.options["correct"]
X, unit = log_values(table, params.options)
probes = probe_dataset(X, table.obs, entry, n_top_vars=params.options["n_top_vars"], seed=params.seed)
probes.insert(0, "dataset", name)
probes.insert(1, "origin", origin)
write_frame(probes, out.parquet)
with atomic_path(out.csv) as tmp:
    probes.to_csv(tmp, index=False)
title = f"Dataset {name}"
save(probe_figure(probes, f"{title}: what classifiers tell of left-out donors", origin), out.figure)
transform = Transform.load(Path(inputs.transform).parent)
shown = stages(X[:, transform.keep], table.obs, entry, transform.correction)
save(probe_pca(shown, table.obs, unit=unit, origin=origin, title=title), out.pca)

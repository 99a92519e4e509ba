"""Probe what of the study, the tissue and the tumour classifiers can tell, before and after the correction."""

from aeflow.job import start_job

start_job(snakemake)

import pandas as pd

from aeflow.correction import load_correction
from aeflow.evaluation.probes.probe_dataset import log_values, probe_dataset, stages
from aeflow.files import atomic_path, read_json, write_frame
from aeflow.plots.probe_figures import probe_figure, probe_pca
from aeflow.plots.style import save
from aeflow.table import read_table

inputs, params, out = snakemake.input, snakemake.params, snakemake.output
table, origin = read_table(inputs.X, inputs.obs, inputs.var), read_json(inputs.quality)["origin"]
title, entry = f"Dataset {snakemake.wildcards.dataset}", params.options["correct"]
X, unit = log_values(table, params.options)
probes = probe_dataset(X, table.obs, entry, n_top_vars=params.options["n_top_vars"], seed=params.seed)
probes.insert(0, "dataset", snakemake.wildcards.dataset)
probes.insert(1, "origin", origin)
write_frame(probes, out.parquet)
with atomic_path(out.csv) as tmp:
    probes.to_csv(tmp, index=False)
save(probe_figure(probes, f"{title}: what classifiers tell of left-out donors", origin), out.figure)
keep = table.var["var_id"].isin(pd.read_parquet(inputs.dataset_var)["var_id"]).to_numpy()
shown = stages(X[:, keep], table.obs, entry, load_correction(inputs.correction))
save(probe_pca(shown, table.obs, unit=unit, origin=origin, title=title), out.pca)

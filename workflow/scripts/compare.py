"""Compare all runs of a dataset with PCA."""

from aeflow.job import start_job

start_job(snakemake)

import pandas as pd

from aeflow.comparison.across_views import over_views, views_text
from aeflow.comparison.leaderboard import as_text, leaderboard, ranks
from aeflow.comparison.paired import donor_intervals
from aeflow.comparison.stability import stability_rows
from aeflow.dataset.cohort import summary_of_dropped
from aeflow.expression.quality import gate_text
from aeflow.files import atomic_path, read_json, write_frame

inputs, out = snakemake.input, snakemake.output
models = [read_json(path) for path in inputs.models]
scores = zip(models, map(pd.read_parquet, inputs.scores), strict=True)  # one at a time: they are read lazily
donors = donor_intervals(scores, pd.read_parquet(inputs.obs), snakemake.params.tasks)
board = leaderboard(zip(models, map(read_json, inputs.metrics), strict=True), donors)
stability = stability_rows(zip(models, map(pd.read_parquet, inputs.latents), strict=True))
board = pd.concat([board, stability], ignore_index=True) if len(stability) else board
write_frame(board, out.parquet)
views = over_views(board, snakemake.params.tasks)
left_out = summary_of_dropped(pd.read_parquet(inputs.dropped))
for frame, path in ((board, out.csv), (ranks(board), out.ranks), (views, out.views), (left_out, out.dropped)):
    with atomic_path(path) as tmp:
        frame.to_csv(tmp, index=False)
with atomic_path(out.text) as tmp:
    tmp.write_text(as_text(board, gate_text(read_json(inputs.quality))) + views_text(views))

"""Compare all runs of a dataset with its baseline."""

from aeflow.job import start_job

start_job(snakemake)

import pandas as pd

from aeflow.comparison.across_views import over_views, views_text
from aeflow.comparison.leaderboard import Leaderboard
from aeflow.comparison.paired import donor_intervals
from aeflow.comparison.stability import stability_rows
from aeflow.dataset.cohort import summary_of_dropped
from aeflow.evaluation.metric import read_metrics
from aeflow.expression.quality import gate_text
from aeflow.files import atomic_path, read_json, write_frame
from aeflow.plan.unfinished import COLUMNS
from aeflow.training.specification import Specification

inputs = snakemake.input
params = snakemake.params
out = snakemake.output

specs = [Specification.read(path) for path in inputs.models]
# one file at a time: the tables of a hundred runs do not fit in memory
scores = zip(specs, map(pd.read_parquet, inputs.scores), strict=True)
latents = zip(specs, map(pd.read_parquet, inputs.latents), strict=True)
donors = donor_intervals(scores, pd.read_parquet(inputs.obs), params.tasks, params.baseline)
stability = stability_rows(latents)
metrics = [read_metrics(path) for path in inputs.metrics]
board = Leaderboard.of_runs(zip(specs, metrics, strict=True), params.baseline, donors=donors, stability=stability)
dropped = summary_of_dropped(pd.read_parquet(inputs.dropped))
views = over_views(board.frame, params.tasks, params.baseline)
unfinished = pd.DataFrame(params.unfinished, columns=list(COLUMNS))

write_frame(board.frame, out.parquet)
tables = {
    out.csv: board.frame,
    out.ranks: board.ranks(),
    out.views: views,
    out.dropped: dropped,
    out.unfinished: unfinished,
}
for path, frame in tables.items():
    with atomic_path(path) as tmp:
        frame.to_csv(tmp, index=False)
with atomic_path(out.text) as tmp:
    tmp.write_text(board.text(gate_text(read_json(inputs.quality)), unfinished) + views_text(views))

"""Compare all runs of a dataset with PCA."""

from aeflow.job import start_job

start_job(snakemake)

from aeflow.evaluation.comparison import as_text, leaderboard
from aeflow.files import atomic_path, read_json, write_frame

out = snakemake.output
pairs = zip(snakemake.input.models, snakemake.input.metrics, strict=True)
board = leaderboard((read_json(model), read_json(metrics)) for model, metrics in pairs)
write_frame(board, out.parquet)
with atomic_path(out.csv) as tmp:
    board.to_csv(tmp, index=False)
with atomic_path(out.text) as tmp:
    tmp.write_text(as_text(board))

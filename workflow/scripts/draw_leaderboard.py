"""Draw the leaderboard of a dataset."""

from aeflow.job import start_job

start_job(snakemake)

import pandas as pd

from aeflow.evaluation.comparison import headline
from aeflow.plots.comparison import leaderboard_figure
from aeflow.plots.style import save

board = pd.read_parquet(snakemake.input.leaderboard)
metrics = [m for m in headline(board["metric"]) if not m.endswith(("control_auroc", "/mse")) and "/baseline/" not in m]
save(leaderboard_figure(board, metrics, f"Dataset {snakemake.wildcards.dataset}"), snakemake.output[0])

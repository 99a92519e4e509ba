"""Draw the leaderboard of a dataset."""

from aeflow.job import start_job

start_job(snakemake)

import pandas as pd

from aeflow.comparison.leaderboard import pictured
from aeflow.plots.leaderboard_figure import leaderboard_figure
from aeflow.plots.style import save

board = pd.read_parquet(snakemake.input.leaderboard)
metrics = pictured(board["metric"])
save(leaderboard_figure(board, metrics, f"Dataset {snakemake.wildcards.dataset}"), snakemake.output[0])

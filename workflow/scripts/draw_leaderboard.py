"""Draw the leaderboard of a dataset."""

from aeflow.job import start_job

start_job(snakemake)

import pandas as pd

from aeflow.comparison.leaderboard import pictured
from aeflow.plots.leaderboard_figure import leaderboard_figure
from aeflow.plots.style import save

board = pd.read_parquet(snakemake.input.leaderboard)
title = f"Dataset {snakemake.wildcards.dataset}"
figure = leaderboard_figure(board, pictured(board["metric"]), title, baseline=snakemake.params.baseline)
save(figure, snakemake.output[0])

"""Draw the leaderboard of a dataset."""

from aeflow.job import start_job

start_job(snakemake)

from aeflow.comparison.leaderboard import read_board
from aeflow.comparison.shown import pictured_rows
from aeflow.plots.leaderboard_figure import leaderboard_figure
from aeflow.plots.style import save

board = read_board(snakemake.input.leaderboard)
metrics = sorted(set(board["metric"][pictured_rows(board)]))
title = f"Dataset {snakemake.wildcards.dataset}"
save(leaderboard_figure(board, metrics, title, baseline=snakemake.params.baseline), snakemake.output[0])

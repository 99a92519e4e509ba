"""Every figure: a function takes data and returns a Figure, `save` writes it.

`origin` ("real" or "simulated") is asked for everywhere, because simulated data are named so in every title.
"""

from aeflow.plots.cohort import cohort_pca
from aeflow.plots.comparison import leaderboard_figure
from aeflow.plots.detection import roc_curves, score_histograms
from aeflow.plots.expression import expression_draws
from aeflow.plots.images import image_grid, reconstruction_grid
from aeflow.plots.style import save
from aeflow.plots.training import training_curve

__all__ = [
    "cohort_pca",
    "expression_draws",
    "image_grid",
    "leaderboard_figure",
    "reconstruction_grid",
    "roc_curves",
    "save",
    "score_histograms",
    "training_curve",
]

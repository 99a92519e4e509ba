"""Markov chains of generalised denoising autoencoders."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from aeflow.plots.gallery.declaration import gallery_figure
from aeflow.plots.gallery.material import Material
from aeflow.plots.image_grids import first_of_each, labelled_grid
from aeflow.plots.style import new_figure, put_title

STEPS = (0, 1, 10, 100, 1000)
N_CHAINS = 8


@gallery_figure(
    observations="images",
    roles={"walkback": "AbstractMarkovChain", "plain": "AbstractMarkovChain"},
    caption="Markov chains of corrupting and denoising, started at test images: states after 0, 1, 10, 100 and 1,000 "
    "steps, of a model trained with walkback and of one trained without. Walkback trains on states its own "
    "chain wanders to, which should keep late states looking like data; without it chains may end in patterns "
    "no image has, or stay in one.",
)
def walkback(m: Material) -> Figure:
    """Return states after `STEPS` steps of chains from the same test images, by two models; step 0 is the image."""
    starts = first_of_each(m.test.obs["digit"])[:N_CHAINS]
    figure, axes = new_figure(8.6, 0.68 * len(starts) + 1.5, 1, 2)
    for ax, role, how in zip(axes[0], ("walkback", "plain"), ("with", "without"), strict=True):
        run, generator = m.runs[role], m.generator()
        x = mean = m.batch(run, starts).x
        states = [mean]
        with torch.no_grad():
            for step in range(1, STEPS[-1] + 1):
                x, mean = run.model.step(x, generator)
                if step in STEPS:
                    states.append(mean)
        pictures = torch.stack(states, 1).flatten(0, 1).cpu().numpy()  # a row per chain
        labelled_grid(ax, pictures, rows=[""] * len(starts), columns=[f"{step:,}" for step in STEPS])
        ax.set_xlabel("steps")
        ax.xaxis.set_label_position("top")
        ax.set_title(f"{how} walkback: {run.name}")
    put_title(figure, m.title("Chains from test images"), m.info["origin"])
    return figure

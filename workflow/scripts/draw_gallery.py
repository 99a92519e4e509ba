"""Draw one figure of the gallery from the runs it shows, and write beside it what to see."""

from aeflow.job import start_job

job = start_job(snakemake)

from aeflow.files import atomic_path
from aeflow.plots.gallery.material import draw, read_material
from aeflow.plots.style import save

inputs = snakemake.input
params = snakemake.params
runs = {}
for i, role in enumerate(params.roles):
    scores = inputs.scores[i] if inputs.get("scores") else None
    runs[role] = inputs.weights[i], inputs.models[i], inputs.histories[i], scores
tables = inputs.X_test, inputs.obs, inputs.var
material = read_material(runs, tables, device=job.device(), view=params.view, task=params.task)
save(draw(snakemake.wildcards.figure, material), snakemake.output.figure)
with atomic_path(snakemake.output.caption) as tmp:
    tmp.write_text(params.caption + "\n")

"""Draw one figure of the gallery from the runs it shows, and write beside it what to see."""

from aeflow.job import start_job

job = start_job(snakemake)

from aeflow.files import atomic_path
from aeflow.plots.gallery.material import draw, read_material
from aeflow.plots.style import save

inputs, params, out, w = snakemake.input, snakemake.params, snakemake.output, snakemake.wildcards
scores = list(inputs.get("scores", [])) or [None] * len(params.roles)
files = zip(inputs.weights, inputs.models, inputs.histories, scores, strict=True)
material = read_material(
    dict(zip(params.roles, files, strict=True)),
    (inputs.X_test, inputs.obs, inputs.var),
    device=job.device(),
    view=params.view,
    task=params.task,
)
save(draw(w.figure, material), out.figure)
with atomic_path(out.caption) as tmp:
    tmp.write_text(params.caption + "\n")

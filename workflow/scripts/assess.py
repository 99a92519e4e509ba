"""Ask a trained run what needs its model: latents, scores, and every evaluation that the configuration names."""

from aeflow.job import start_job

job = start_job(snakemake)

from pathlib import Path

from aeflow.dataset.dataset import Dataset
from aeflow.errors import DataError
from aeflow.evaluation.assessment import Assessment, Companions
from aeflow.evaluation.evaluation import make_evaluation
from aeflow.evaluation.metric import write_metrics
from aeflow.evaluation.task import Task
from aeflow.files import write_frame
from aeflow.plan.sample_sheet import check_sheet
from aeflow.run import Run
from aeflow.scoring.scores import ScoreSettings

inputs = snakemake.input
params = snakemake.params
out = snakemake.output

dataset = Dataset.open(Path(inputs.dataset).parent)
check_sheet(dataset.obs, dataset.name, snakemake.config)
run = Run.open(
    Path(inputs.model).parent,
    device=job.device(),
    dataset=dataset,
    score_settings=ScoreSettings(**params.scores),
)
tasks = [Task.of_entry(name, entry, run.spec.view_filter) for name, entry in params.tasks.items()]
companions = Companions(
    judge=Path(inputs.judge).parent if inputs.get("judge") else None,
    gene_sets=Path(inputs.gene_sets) if inputs.get("gene_sets") else None,
    min_genes=params.min_genes or 0,
    baseline_run=Path(inputs.baseline).parent if inputs.get("baseline") else None,
)
assessment = Assessment(run, dataset, tasks, is_baseline=params.is_baseline, companions=companions)

metrics = []
tables = {}
for name, entry in params.evaluations.items():
    with job.timed(f"evaluation {name}"):
        try:
            found = make_evaluation(entry).evaluate(assessment)
        except (ValueError, FloatingPointError) as error:
            raise DataError(f"run {run.name}, evaluation {name}: {error}") from error
    metrics += found.metrics
    tables |= found.tables

write_frame(assessment.latent, out.latent)
write_frame(assessment.scores, out.scores)
write_frame(assessment.calibrated, out.calibrated)
folder = Path(out.tables)
folder.mkdir()
for name, table in tables.items():
    write_frame(table, folder / f"{name}.parquet")
write_metrics(metrics, out.metrics)

"""Import finished runs and their comparison into MLflow, and write down what was logged as what."""

from pathlib import Path

from aeflow.job import start_job

job = start_job(snakemake)

from aeflow.files import write_json
from aeflow.tracking.log import log_runs
from aeflow.tracking.provenance import git_commit

logged = log_runs(
    [Path(path).parent for path in snakemake.input.metrics],
    [Path(path) for path in snakemake.input.leaderboards],
    baseline=snakemake.params.baseline,
    uri=snakemake.params.uri,
    folder=Path(snakemake.params.folder),
    tags={"git_commit": git_commit()},
)
write_json(logged, snakemake.output.logged)
job.log.info("%d runs are in MLflow", sum(map(len, logged.values())))

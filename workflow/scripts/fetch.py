"""Fetch one file of a source, verified."""

from aeflow.job import start_job

start_job(snakemake)

import json
import os
from pathlib import Path

from aeflow.download.fetch import fetch
from aeflow.expression.manifest import md5_of

source, path = snakemake.wildcards.source, snakemake.wildcards.path
# read here, not in params: an edited manifest must not plan downloads of files whose sums are the same
options = [cohort["options"] for cohort in snakemake.config["cohorts"].values()]
manifests = sorted({entry["manifest"] for entry in options if "manifest" in entry})
fetch(
    source,
    path,
    Path(snakemake.output[0]),
    mirrors=json.loads(os.environ.get("AEFLOW_MIRRORS", "{}")).get(source, []),
    lock=Path("resources/checksums.lock"),
    md5=md5_of(path, manifests),
)

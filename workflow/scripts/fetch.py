"""Fetch one file of a source, verified."""

from aeflow.job import start_job

start_job(snakemake)

import json
import os
from pathlib import Path

from aeflow.fetch import fetch

source, path = snakemake.wildcards.source, snakemake.wildcards.path
fetch(
    source,
    path,
    Path(snakemake.output[0]),
    mirrors=json.loads(os.environ.get("AEFLOW_MIRRORS", "{}")).get(source, []),
    lock=Path("resources/checksums.lock"),
)

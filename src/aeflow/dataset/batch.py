"""Rows of a table as a model sees them."""

from __future__ import annotations

import torch

from aeflow.dataset.covariates import CovariateCodes
from aeflow.models.base import Batch
from aeflow.table import Table


def as_batch(table: Table, codes: CovariateCodes, device: torch.device) -> Batch:
    """Return all rows of a table on `device`, with the covariates that `codes` ask for."""
    covariates = codes.encode(table.obs)
    given = None if covariates is None else torch.from_numpy(covariates).to(device)
    return Batch(torch.from_numpy(table.X).to(device), None, given)


def concatenated(*batches: Batch) -> Batch:
    """Return the rows of several batches as one."""
    x = torch.cat([batch.x for batch in batches])
    first = batches[0]
    covariates = None if first.covariates is None else torch.cat([batch.covariates for batch in batches])
    return first._replace(x=x, covariates=covariates)

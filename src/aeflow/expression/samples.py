"""Sample sheet: one row per sample, from its barcode and the file it stands in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from aeflow.errors import DataError
from aeflow.expression.align import Matrix
from aeflow.expression.barcodes import parse_barcode


@dataclass(frozen=True)
class FileLabel:
    """What the name of a matrix file says about every sample in it."""

    study: str
    project: str
    tissue: str
    condition: str
    source_file: str


def sample_sheet(matrices: Sequence[Matrix], labels: Mapping[str, FileLabel]) -> tuple[pd.DataFrame, list[tuple]]:
    """Return obs, ordered by matrix name and sample id, and the dropped aliquots.

    Of several aliquots of one physical sample (barcodes equal up to the sample and vial, or up to GTEx's tissue piece)
    the one whose barcode sorts last is kept: for TCGA the highest portion and plate, the rule of Broad's Firehose.

    Returns
    -------
    obs : columns sample_id, donor_id, study, tissue, condition, project, sample_type_code, centre, source_file and
        matrix, the name of the matrix that holds the sample.
    dropped : ("obs", sample_id, reason, NaN, source file) per aliquot left out.

    Raises
    ------
    DataError : for a sample in two files, or a barcode that contradicts the file it stands in.
    """
    rows, seen = [], {}
    for matrix in sorted(matrices, key=lambda m: m.name):
        label = labels[matrix.name]
        for sample_id in sorted(matrix.samples):
            if sample_id in seen:
                raise DataError(f"{label.source_file}: sample {sample_id!r} is in {seen[sample_id]}, too")
            seen[sample_id] = label.source_file
            rows.append(_row(sample_id, matrix.name, label))
    obs = pd.DataFrame(rows)
    kept = obs.groupby("piece", sort=False)["sample_id"].transform("max")
    extra = (obs["sample_id"] != kept).to_numpy()
    dropped = [
        ("obs", sample_id, f"another aliquot of the sample is kept: {other}", float("nan"), source_file)
        for sample_id, other, source_file in zip(
            obs["sample_id"][extra], kept[extra], obs["source_file"][extra], strict=True
        )
    ]
    return obs[~extra].drop(columns="piece").reset_index(drop=True), dropped


def _row(sample_id: str, matrix: str, label: FileLabel) -> dict[str, str]:
    barcode = parse_barcode(sample_id, label.source_file)
    for what in ("study", "condition"):
        if getattr(barcode, what) != getattr(label, what):
            code = f" (type code {barcode.sample_type_code})" if barcode.sample_type_code else ""
            raise DataError(
                f"{label.source_file}: a file of {what} {getattr(label, what)!r} by its name, but sample "
                f"{sample_id!r} is {getattr(barcode, what)!r}{code}"
            )
    return {
        "sample_id": sample_id,
        "donor_id": barcode.donor_id,
        "study": label.study,
        "tissue": label.tissue,
        "condition": label.condition,
        "project": label.project,
        "sample_type_code": barcode.sample_type_code,
        "centre": barcode.centre,
        "source_file": label.source_file,
        "matrix": matrix,
        "piece": barcode.piece,
    }

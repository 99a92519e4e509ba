"""GTEx and TCGA sample barcodes: who gave the sample, what kind it is, which sequencing centre read it.

GTEx: ``GTEX-S3XE-1226-SM-4AD4L`` = donor (2 fields), tissue piece, aliquot after SM.
TCGA: ``TCGA-KL-8339-11A-01R-2315-07`` = participant (3 fields), sample type code and vial, portion and analyte,
plate, centre (https://docs.gdc.cancer.gov/Encyclopedia/pages/TCGA_Barcode).
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from aeflow.errors import DataError
from aeflow.expression.text import date_note

GTEX = re.compile(r"(?P<piece>(?P<donor>GTEX-[A-Z0-9]{4,5})-\d{4}(-[A-Za-z0-9]+)?)-SM-[A-Z0-9]{5}", re.ASCII)
TCGA = re.compile(
    r"(?P<piece>(?P<donor>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})-(?P<code>\d{2}))(?P<vial>[A-Z])-"
    r"\d{2}(?P<analyte>[A-Z])-(?P<plate>[A-Z0-9]{4})-(?P<centre>\d{2})",
    re.ASCII,
)
CONDITIONS = {f"{code:02d}": "tumour" for code in range(1, 10)} | {f"{code:02d}": "normal" for code in range(11, 15)}


@dataclass(frozen=True)
class Barcode:
    """What a barcode says.

    `piece` is the barcode up to what its aliquots measure repeatedly: GTEx's tissue piece, TCGA's participant and
    sample type (without the vial, see expression/aliquots.py).
    `condition` is "normal" or "tumour"; for TCGA by the sample type code (01-09 tumour, 11-14 normal).
    """

    sample_id: str
    study: str
    donor_id: str
    piece: str
    condition: str
    sample_type_code: str = ""
    centre: str = ""

    def row(self, **labels: str) -> dict[str, str]:
        """Return the sample's row of a sample sheet, with `labels` such as tissue; blank where nothing is known."""
        return asdict(self) | {"sex": "", "age_bracket": "", "collection_site": ""} | labels


def parse_barcode(sample_id: str, where: str) -> Barcode:
    """Return what `sample_id` says; DataError beginning with `where` (a file and column) if it is no full barcode."""
    if match := GTEX.fullmatch(sample_id):
        return Barcode(sample_id, "GTEx", match["donor"], match["piece"], "normal")
    if match := TCGA.fullmatch(sample_id):
        code = match["code"]
        if code not in CONDITIONS:
            raise DataError(
                f"{where}: sample {sample_id!r} has type code {code!r}, neither tumour (01-09) nor normal (11-14)"
            )
        return Barcode(sample_id, "TCGA", match["donor"], match["piece"], CONDITIONS[code], code, match["centre"])
    dashed = sample_id.replace(".", "-")
    if dashed != sample_id and (GTEX.fullmatch(dashed) or TCGA.fullmatch(dashed)):
        raise DataError(
            f"{where}: sample id {sample_id!r} is the barcode {dashed!r} with its dashes turned into dots, as R's "
            "read.table does without check.names=FALSE; use the original file"
        )
    note = date_note(sample_id)
    raise DataError(f"{where}: {sample_id!r} is neither a full GTEx nor a full TCGA aliquot barcode{note}")

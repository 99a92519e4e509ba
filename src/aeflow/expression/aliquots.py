"""One aliquot per sample: which of several measurements of the same thing stands for it.

A sample is what a person gave of one kind. For TCGA that is participant and sample type, whatever the vial: with two
vials, one patient would count as two tumours. For GTEx it is the tissue piece.

TCGA, in this order:

1. FFPE aliquots are left out, also where nothing else is there of the patient. Firehose keeps them apart from all
   other samples, too. A barcode does not say what is FFPE; GDC's metadata does (expression/manifest.py), and later
   vials than the first are known to be on plates A277 and A27D, of TCGA's FFPE pilot
   (https://gdac.broadinstitute.org/runs/sampleReports/latest/FPPP_FFPE_Cases.html), and on A22O (GDC's is_ffpe).
2. Of several vials the first. This is not Firehose's rule, which needs to know every FFPE aliquot: those of which
   nobody knows are later vials, too, on later plates.
3. Of several aliquots of the vial, by Broad's Firehose (https://gdac.broadinstitute.org/runs/gdc/report_2017_07_22/
   TCGA-LAML_Replicate_Samples.html), "Analyte Replicate Filter": analyte H over R over T, of one analyte the later
   plate; then "Sort Replicate Filter": the barcode that sorts last.

GTEx names no rule for two aliquots of a piece (its freeze has one of each); the barcode that sorts last is kept.
"""

from __future__ import annotations

import pandas as pd

from aeflow.expression.barcodes import TCGA

ANALYTES = "TRH"  # of RNA, the preferred last
FFPE_PLATES = frozenset({"A277", "A27D", "A22O"})
FFPE = "FFPE: a later vial on one of the plates A277, A27D, A22O"


def is_ffpe(sample_id: str) -> bool:
    """Whether a barcode is known to be that of an FFPE aliquot; True is certain, False is not."""
    match = TCGA.fullmatch(sample_id)
    return bool(match) and match["vial"] != "A" and match["plate"] in FFPE_PLATES


def precedence(sample_id: str) -> tuple:
    """Return what aliquots of one sample are ordered by, the preferred last."""
    match = TCGA.fullmatch(sample_id)
    if not match:
        return (sample_id,)
    return (-ord(match["vial"]), ANALYTES.find(match["analyte"]), match["plate"], sample_id)


def choose(obs: pd.DataFrame) -> tuple[pd.Series, dict[str, str]]:
    """Return which rows are kept, one per sample, and why each of the others is not.

    Parameters
    ----------
    obs : columns sample_id and piece (`Barcode.piece`).

    Returns
    -------
    kept : (n,) bool.
    reasons : sample_id of each row that is not kept -> reason, for the drop log.
    """
    reasons = {i: FFPE for i in obs["sample_id"] if is_ffpe(i)}
    for _, ids in obs["sample_id"][~obs["sample_id"].isin(reasons)].groupby(obs["piece"], sort=False):
        best = max(ids, key=precedence)
        for other in set(ids) - {best}:
            what = "aliquot" if _vial(other) == _vial(best) else "vial"
            reasons[other] = f"another {what} of the sample is kept: {best}"
    return ~obs["sample_id"].isin(reasons), reasons


def _vial(sample_id: str) -> str:
    match = TCGA.fullmatch(sample_id)
    return match["vial"] if match else ""

"""Barcodes of GTEx and TCGA (about 1 s)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeflow.errors import DataError
from aeflow.expression.barcodes import parse_barcode

CODE = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=4, max_size=4)


@given(CODE, CODE, st.integers(1, 99), st.sampled_from("ABC"), st.integers(0, 99))
def test_tcga_barcode(participant, plate, code, vial, centre):
    """Breaks if participant, type code, condition or centre are read from the wrong field."""
    sample_id = f"TCGA-2A-{participant}-{code:02d}{vial}-01R-{plate}-{centre:02d}"
    if not (1 <= code <= 9 or 11 <= code <= 14):
        with pytest.raises(DataError, match=f"type code '{code:02d}'"):
            parse_barcode(sample_id, "f")
        return
    barcode = parse_barcode(sample_id, "f")
    assert barcode.donor_id == f"TCGA-2A-{participant}"
    assert barcode.piece == f"TCGA-2A-{participant}-{code:02d}"  # vials of one sample type are one sample
    assert barcode.condition == ("tumour" if code < 10 else "normal")
    assert (barcode.study, barcode.sample_type_code, barcode.centre) == ("TCGA", f"{code:02d}", f"{centre:02d}")
    with pytest.raises(DataError, match=r"^f: .*dashes turned into dots"):
        parse_barcode(sample_id.replace("-", "."), "f")


@given(CODE, st.integers(0, 9999), st.sampled_from(["", "-R1a", "-101855"]), CODE)
def test_gtex_barcode(donor, piece, region, aliquot):
    """Breaks if a GTEx donor or tissue piece is cut wrongly, or a GTEx sample is not a normal."""
    barcode = parse_barcode(f"GTEX-{donor}-{piece:04d}{region}-SM-{aliquot}X", "f")
    assert (barcode.study, barcode.donor_id, barcode.condition) == ("GTEx", f"GTEX-{donor}", "normal")
    assert barcode.piece == f"GTEX-{donor}-{piece:04d}{region}"


@given(st.text(max_size=40))
def test_any_other_text_is_no_barcode(text):
    """Breaks if free text passes as a barcode or raises anything but DataError."""
    with pytest.raises(DataError):
        parse_barcode(text, "f")

"""Which aliquot stands for a sample: Firehose's rule on pairs, vials and FFPE (about 1 s)."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeflow.expression.aliquots import choose, is_ffpe
from aeflow.expression.barcodes import parse_barcode
from aeflow.expression.sheets import SampleSheet

ANALYTE = st.sampled_from("HRT")
PORTION = st.integers(1, 99).map("{:02d}".format)
PLATE = st.one_of(st.integers(1, 2403).map("{:04d}".format), st.sampled_from(["A00Z", "A16R", "A32Z", "A41I"]))


def barcode(portion="11", analyte="R", plate="1774", vial="A", person="Z001", code="01") -> str:
    return f"TCGA-ZZ-{person}-{code}{vial}-{portion}{analyte}-{plate}-07"


def kept_of(ids: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return which of the barcodes are kept, and why each of the others is not."""
    obs = pd.DataFrame([{"sample_id": i, "piece": parse_barcode(i, "f").piece} for i in ids])
    kept, reasons = choose(obs)
    return obs["sample_id"][kept].tolist(), reasons


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ("TCGA-ZZ-9903-03A-01T-0734-13", "TCGA-ZZ-9903-03A-01R-0736-13"),
        ("TCGA-ZZ-9910-03A-01R-0734-13", "TCGA-ZZ-9910-03A-01H-0736-13"),
        (barcode(analyte="R", plate="A41I"), barcode(analyte="H", plate="0001")),  # the analyte before the plate
        (barcode(analyte="T", plate="A41I"), barcode(analyte="R", plate="0001")),
        (barcode(analyte="T", plate="A41I"), barcode(analyte="H", plate="0001")),
        (barcode("21", plate="1774"), barcode("11", plate="1775")),  # the plate before the portion
        (barcode(plate="2403"), barcode(plate="A00Z")),  # plates with letters came later
        (barcode("11"), barcode("12")),  # the same plate: the barcode that sorts last
        (barcode(vial="B", plate="A41I"), barcode(vial="A")),  # the first vial
        (barcode(vial="C", analyte="H"), barcode(vial="B", analyte="T")),
        ("GTEX-AAAA-0126-SM-AAAA1", "GTEX-AAAA-0126-SM-ZZZZ9"),
    ],
)
def test_pairs(worse, better):
    """Breaks if the analyte, the plate or the vial is compared the wrong way, or in another order."""
    for ids in ([worse, better], [better, worse]):
        kept, reasons = kept_of(ids)
        assert kept == [better]
        what = "vial" if worse[15:16] != better[15:16] and worse.startswith("TCGA") else "aliquot"
        assert reasons == {worse: f"another {what} of the sample is kept: {better}"}


@given(st.lists(st.tuples(PORTION, ANALYTE, PLATE), min_size=1, max_size=6, unique=True), st.randoms())
def test_replicates_of_a_vial(fields, random):
    """Breaks if Firehose's filters, applied one after the other, would keep another aliquot."""
    ids = [barcode(*f) for f in fields]
    left = next(found for a in "HRT" if (found := [f for f in fields if f[1] == a]))
    left = [f for f in left if f[2] == max(plate for *_, plate in left)]
    random.shuffle(ids)
    kept, reasons = kept_of(ids)
    assert kept == [max(barcode(*f) for f in left)]
    assert sorted([*kept, *reasons]) == sorted(ids)


def test_ffpe_vials_of_the_pilot_are_left_out():
    """Breaks if a fixed vial counts as a second tumour, is kept where it stands alone, or goes unlogged."""
    frozen, again, fixed = barcode(), barcode(plate="A278"), barcode("02", vial="B", plate="A277")
    beside = barcode(plate="A277", person="Z003")  # a frozen vial on the plate of the fixed ones
    alone = barcode("04", vial="C", plate="A22O", person="Z002")
    kept, reasons = kept_of([fixed, frozen, again, alone, beside])
    assert kept == [again, beside]
    assert set(reasons) == {frozen, fixed, alone}
    assert reasons[fixed] == reasons[alone] == "FFPE: a later vial on one of the plates A277, A27D, A22O"
    assert is_ffpe("TCGA-A6-6650-01B-02R-A277-07") and not is_ffpe("TCGA-A6-6650-01A-11R-A278-07")
    assert not is_ffpe("TCGA-CI-6619-01B-11R-1830-07")  # a later vial is not fixed for that alone


def test_what_are_different_samples():
    """Breaks if a tumour and a normal, two tumours of other types, or two GTEx pieces are taken for one sample."""
    ids = [barcode(code=code) for code in ("01", "02", "06", "11")] + [barcode(person="Z002")]
    ids += ["GTEX-AAAA-0126-SM-AAAA1", "GTEX-AAAA-0226-SM-AAAA2", "GTEX-AAAA-0011-R1a-SM-AAAA3"]
    assert kept_of(ids) == (ids, {})


def test_sheet_logs_every_aliquot_that_is_left_out():
    """Breaks if the sample sheet keeps two vials, or the drop log lacks one with its file."""
    sheet = SampleSheet()
    ids = [barcode(), barcode("02", vial="B", plate="A277"), barcode(plate="A278")]
    for i in ids:
        sheet.add(parse_barcode(i, "f").row(), matrix="m", column=i, source_file=f"{i}.tsv")
    obs, dropped = sheet.finish("x")
    assert obs["sample_id"].tolist() == [ids[2]]
    assert {(axis, i, file) for axis, i, _, _, file in dropped} == {("obs", i, f"{i}.tsv") for i in ids[:2]}

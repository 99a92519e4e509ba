"""GDC manifest and metadata as people download them (about 1 s)."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeflow.errors import ConfigError
from aeflow.expression.manifest import FIELDS, read_entries

FILE = "0a0a0a0a-1111-2222-3333-444444444444"
MD5 = "a" * 32
SAMPLE = "TCGA-ZZ-9903-03A-01R-0736-13"
NAME = "x.rna_seq.augmented_star_gene_counts.tsv"
MANIFEST = f"id\tfilename\tmd5\tsize\tstate\n{FILE}\t{NAME}\t{MD5}\t1\treleased\n"
ENTITIES = [{"entity_submitter_id": SAMPLE, "entity_type": "aliquot", "entity_id": "x", "case_id": "y"}]


def hit(person=None, **case) -> dict:
    """Return the metadata of one file, `person` its demographic."""
    case = {"project": {"project_id": "TCGA-LAML"}} | ({} if person is None else {"demographic": person}) | case
    return {"file_id": FILE, "associated_entities": ENTITIES, "cases": [case]}


def entries(folder, content, manifest=MANIFEST):
    (folder / "man.txt").write_bytes(manifest.encode() if isinstance(manifest, str) else manifest)
    (folder / "meta.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return read_entries(str(folder / "man.txt"), str(folder / "meta.json"), None)


def test_the_portals_own_metadata_lacks_the_project(tmp_path):
    """Breaks if the file of the Metadata button fails without saying what is missing and how to get it."""
    portal = {"file_id": FILE, "file_name": NAME, "associated_entities": ENTITIES, "analysis": {"workflow_type": "x"}}
    with pytest.raises(ConfigError) as caught:
        entries(tmp_path, [portal])
    for part in ("meta.json", FILE, "cases.project.project_id", "https://api.gdc.cancer.gov/files", "fields=file_id"):
        assert part in str(caught.value)


def test_the_page_has_the_call():
    """Breaks if the call in the docs asks for other fields than the reader needs."""
    assert f'"fields": "{FIELDS}"' in (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (54, 54),
        (54.0, 54),
        ("54", 54),
        (" 54.0 ", 54),
        (0, 0),
        (90, 90),
        *((word, None) for word in ("'--", "--", "Not Reported", "not reported", " Unknown ", "", "NA", None)),
    ],
)
def test_ages(age, expected, tmp_path):
    """Breaks if an unknown age is an error, or a known one is read wrongly."""
    assert entries(tmp_path, [hit({"age_at_index": age})])[0].age == expected


@pytest.mark.parametrize(
    "age",
    ["10-Oct", "54 years", 54.5, -1, 19724, True, [54], {"years": 54}, "5_4", "\u0665\u0664", "1e1", "+54", 44441],
)
def test_other_ages_are_named(age, tmp_path):
    """Breaks if days, dates or what only Python takes for a number pass for an age, or end in a bare error."""
    message = f"meta.json: file {FILE}: cases.demographic.age_at_index: expected whole years"
    with pytest.raises(ConfigError, match=message) as caught:
        entries(tmp_path, [hit({"age_at_index": age})])
    assert ("spreadsheet" in str(caught.value)) == (age in ("10-Oct", 44441))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([hit() | {"cases": None}], "no cases.project.project_id"),
        ([hit() | {"cases": []}], "no cases.project.project_id"),
        ([hit() | {"cases": {"project": {}}}], "cases: expected a list of objects"),
        ([hit() | {"cases": ["TCGA-LAML"]}], "cases: expected a list of objects"),
        ([hit() | {"cases": [hit()["cases"][0]] * 2}], "expected one case, found 2"),
        ([hit(project=None)], "no cases.project.project_id"),
        ([hit(project="TCGA-LAML")], "cases.project: expected a list of objects"),
        ([hit(project={"project_id": 7})], "no cases.project.project_id"),
        ([hit([54])], "cases.demographic: expected"),
        ([hit(samples="x")], "cases.samples: expected"),
        ([hit() | {"associated_entities": None}], "expected one aliquot .*found 0"),
        ([hit() | {"associated_entities": [SAMPLE]}], "associated_entities: expected a list of objects"),
        ([hit() | {"associated_entities": [{"entity_submitter_id": 7}]}], "expected one aliquot"),
        ([hit() | {"file_id": [FILE]}], "file_id must be text"),
        ([hit(), hit({"age_at_index": 1})], f"file {FILE} stands there twice"),
        ([], f"file {FILE} is not in the metadata"),
        ({"data": [hit()]}, "expected a list of files"),
        ("null", "expected a list of files"),
        ("7", "expected a list of files"),
        ("[NaN]", "not JSON: NaN"),
        ("", "not JSON"),
    ],
)
def test_other_shapes_are_named(content, message, tmp_path):
    """Breaks if some shape of the metadata ends in a bare error, or does not name the file."""
    with pytest.raises(ConfigError, match=f"meta.json.*{message}|{message}.*meta.json"):
        entries(tmp_path, content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PLACES = [(), ("cases",), ("cases", 0), ("cases", 0, "project"), ("cases", 0, "project", "project_id")]
PLACES += [("cases", 0, "demographic"), ("cases", 0, "demographic", "age_at_index"), ("cases", 0, "samples", 0)]
PLACES += [("cases", 0, "demographic", "gender"), ("associated_entities",), ("associated_entities", 0)]


@given(st.sampled_from(PLACES), JSON)
def test_any_json_is_read_or_refused_by_name(tmp_path_factory, place, value):
    """Breaks if some value at some place ends in another error than ConfigError."""
    whole = {"data": json.loads(json.dumps(hit({"age_at_index": 54, "gender": "male"}, samples=[{}])))}
    inner, key = whole, "data"
    for step in place:
        inner, key = inner[key], step
    inner[key] = value
    try:
        (entry,) = entries(tmp_path_factory.mktemp("json"), [whole["data"]])
    except ConfigError as error:
        assert "meta.json" in str(error)
    else:
        assert entry.sample_id == SAMPLE and entry.project == "LAML"


@pytest.mark.parametrize(
    "manifest",
    [
        MANIFEST.replace("\n", "\r\n"),
        "\ufeff" + MANIFEST,
        MANIFEST + "\n\n",
        f"md5\tid\tstate\tfilename\tsize\n{MD5}\t{FILE}\treleased\t{NAME}\t1\n",
        MANIFEST.replace("id", '"id"', 1).replace(NAME, f'"{NAME}"'),
    ],
)
def test_manifests_as_they_are_saved(manifest, tmp_path):
    """Breaks if CRLF, a byte-order mark, blank lines at the end or another order of columns make it unreadable."""
    (entry,) = entries(tmp_path, [hit()], manifest)
    assert (entry.file_id, entry.md5, entry.sample_id) == (FILE, MD5, SAMPLE)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (MANIFEST.replace("\n", "\u2028"), "line 1"),
        (MANIFEST.replace(f"{FILE}\t", f"\n{FILE}\t"), "line 2: 1 cells"),
        (MANIFEST.replace("state", "state\tstate"), "line 1: expected id filename"),
        ("File ID\tFile Name\tData Category\n", "line 1: expected id filename .*found 'File ID"),  # the sample sheet
    ],
)
def test_other_manifests_are_named(manifest, message, tmp_path):
    """Breaks if a damaged manifest, or the portal's sample sheet in its place, is taken for one."""
    with pytest.raises(ConfigError, match=f"man.txt: {message}"):
        entries(tmp_path, [hit()], manifest)


@pytest.mark.parametrize(
    ("samples", "ffpe"),
    [
        ([{"preservation_method": "FFPE"}], "preservation_method is FFPE"),
        ([{"submitter_id": SAMPLE[:16], "is_ffpe": True}], "is_ffpe is True"),
        ([{"is_ffpe": "Yes"}], "is_ffpe is Yes"),
        ([{"submitter_id": "TCGA-ZZ-9903-03B", "is_ffpe": True}, {"submitter_id": SAMPLE[:16], "is_ffpe": False}], ""),
        ([{"preservation_method": "OCT", "is_ffpe": None}], ""),
        (None, ""),
    ],
)
def test_what_the_metadata_says_of_ffpe(samples, ffpe, tmp_path):
    """Breaks if a fixed sample is not known, or another sample of the case is asked."""
    assert entries(tmp_path, [hit(samples=samples)])[0].ffpe == ffpe

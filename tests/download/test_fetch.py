"""Downloads: every fault a mirror can have ends in the right bytes from the next one, or in a clear error (12 s)."""

import gzip
import hashlib
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import Page, refusing_address, silent_address, web_server
from waiting import HANG, kill_when_renaming_to, wait_until

import aeflow.download.fetch
from aeflow.download.checksums import verify
from aeflow.download.fetch import fetch
from aeflow.download.http import Patience, parse_content_range
from aeflow.download.registry import FileRecord, Source, known_files
from aeflow.errors import ConfigError, FetchError

RAW = random.Random(0).randbytes(300_000)
PACKED = gzip.compress(RAW, mtime=0)
PATH, GMT = "deep/x.txt.gz", "sets.gmt"
URL = f"/{PATH}"
PATIENT = Patience(connect=HANG, read=HANG, backoff=0.01, registry=HANG, client=HANG)  # no answer comes too late


def blob_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


FILES = {
    PATH: FileRecord(git_blob_sha1=blob_sha1(PACKED)),
    "raw/x.gz": FileRecord(sha256_raw=hashlib.sha256(RAW).hexdigest()),
    GMT: FileRecord(sha256=hashlib.sha256(RAW).hexdigest()),
}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with web_server() as running:
        yield running


@pytest.fixture(autouse=True)
def web(monkeypatch):
    """A registry of one source, "web", without mirrors of its own, and no mirror folder from outside."""
    monkeypatch.delenv("AEFLOW_MIRROR", raising=False)
    monkeypatch.setattr(aeflow.download.fetch, "registry", lambda: {"web": Source("web", (), FILES)})


@pytest.fixture
def get(tmp_path):
    """Fetch `path` of "web" into tmp_path/resources and return its bytes."""

    def run(mirrors, path=PATH, source="web", **options):
        destination = tmp_path / "resources" / source / path
        fetch(source, path, destination, mirrors=mirrors, patience=options.pop("patience", PATIENT), **options)
        assert leftovers(tmp_path) == []
        return destination.read_bytes()

    return run


def leftovers(folder):
    """Files of half a download; empty after each success."""
    return [
        file.name for file in folder.rglob("*") if file.name.endswith((".part", ".json", ".tmp", ".fetch", ".packed"))
    ]


def test_a_file_is_fetched_whole_and_not_again(server, get):
    """Breaks if bytes change on the way, or if a verified file is asked for twice."""
    server.pages[URL] = Page(PACKED)
    assert get([server.url]) == PACKED
    assert get([server.url]) == PACKED
    assert len(server.requests) == 1
    assert server.requests[0][1]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("ranges", [True, False])
def test_a_dropped_connection_is_resumed_or_begun_again(server, get, ranges):
    """Breaks if a file cut in the middle passes for whole, or a server that ignores Range gets bytes appended twice."""
    server.pages[URL] = Page(PACKED, ranges=ranges, drop_at=[1000])
    assert get([server.url]) == PACKED
    assert server.ranges() == [None, "bytes=1000-" if ranges or len(server.requests) == 2 else None]


@pytest.mark.parametrize("fault", [{"refuse_ranges": True}, {"shift": 7}])
def test_a_refused_or_miscounted_range_starts_from_zero(server, get, fault):
    """Breaks if 416 is final, or if a Range answer that starts elsewhere is appended."""
    server.pages[URL] = Page(PACKED, drop_at=[1000], **fault)
    assert get([server.url]) == PACKED
    assert server.ranges() == [None, "bytes=1000-", None]


def test_a_file_that_changed_between_two_answers_is_not_mixed(server, get):
    """Breaks without If-Range: the tail of the new file would follow the head of the old one."""
    server.pages[URL] = Page(bytes(len(PACKED)), drop_at=[1000])
    with pytest.raises(FetchError):  # the drop list is used up, then all zeros arrive: not gzip
        get([server.url])
    server.pages[URL] = Page(PACKED, etag='"2"', drop_at=[1000, 10])
    assert get([server.url]) == PACKED


def test_bytes_of_two_answers_with_a_wrong_sum_are_fetched_once_more(server, get, tmp_path):
    """Breaks if a stale beginning without validator makes a mirror useless for ever."""
    server.pages[URL] = Page(bytes(len(PACKED)), etag=None, drop_at=[1000, 0, 0, 0])
    with pytest.raises(FetchError, match="connection"):
        get([server.url])
    assert (tmp_path / "resources/web" / f"{PATH}.part").stat().st_size == 1000
    server.pages[URL] = Page(PACKED, etag=None)
    assert get([server.url]) == PACKED
    assert server.ranges()[-2:] == ["bytes=1000-", None]


def test_a_killed_download_is_resumed(server, get, tmp_path):
    """Breaks if a process killed by the scheduler loses what it had, or leaves something under the final name."""
    half = len(PACKED) // 2
    page = server.pages[URL] = Page(PACKED, hold_at=half)
    destination = tmp_path / "resources" / "web" / PATH
    code = (
        "import sys; from pathlib import Path; from aeflow.download.fetch import fetch;"
        f"fetch('other', {PATH!r}, Path(sys.argv[1]), mirrors=[sys.argv[2]])"
    )
    job = subprocess.Popen([sys.executable, "-c", code, destination, server.url], env=child_environment())
    part = destination.with_name(destination.name + ".part")
    wait_until(lambda: part.exists() and part.stat().st_size == half, job)
    os.kill(job.pid, signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    assert not destination.exists()
    page.hold_at = None
    assert get([server.url]) == PACKED
    assert server.ranges() == [None, f"bytes={half}-"]


@pytest.mark.parametrize("path", [PATH, "raw/x.gz"])
def test_a_download_killed_before_its_last_step_leaves_nothing_behind(server, get, tmp_path, path):
    """Breaks if what a kill left (a packed copy, a folder, a note on a part) stays when another mirror gives the file.

    raw/x.gz comes unpacked, so that it is killed when it has been packed again.
    """
    server.pages[f"/{path}"] = Page(PACKED if path == PATH else RAW, encoding="gzip" if path == PATH else None)
    destination = tmp_path / "resources" / "web" / path

    def fetch_until_killed():
        kill_when_renaming_to(destination.name)
        fetch("web", path, destination, mirrors=[server.url], patience=PATIENT)

    job = multiprocessing.get_context("fork").Process(target=fetch_until_killed)
    job.start()
    job.join()
    assert job.exitcode == -signal.SIGKILL
    assert leftovers(tmp_path)
    folder = tmp_path / "mirror"
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_bytes(PACKED)
    assert gzip.decompress(get([str(folder)], path=path)) == RAW


def test_what_a_kill_after_the_last_step_leaves_is_removed(server, get, tmp_path):
    """Breaks if the next start, which finds the file whole, keeps what was noted of its download for ever."""
    server.pages[URL] = Page(PACKED)
    get([server.url])
    destination = tmp_path / "resources" / "web" / PATH
    destination.with_name(f"{destination.name}.part.json").write_text("{}")
    destination.with_name(f".{destination.name}.part.json.123.tmp").write_text("{")
    destination.with_name(f".{destination.name}.fetch").mkdir()
    assert get([server.url]) == PACKED
    assert len(server.requests) == 1


def child_environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_a_server_error_passes(server, get):
    """Breaks if 500 or 503 is final at once."""
    server.pages[URL] = Page(PACKED, failures=[500, 503])
    assert get([server.url]) == PACKED


def test_a_lasting_server_error_ends(server, get):
    """Breaks if a dead service is asked for ever."""
    server.pages[URL] = Page(PACKED, failures=[503] * 99)
    with pytest.raises(FetchError, match="HTTP 503"):
        get([server.url])
    assert len(server.requests) == PATIENT.attempts


HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"
BAD = {
    "html": (Page(HTML, content_type="text/html; charset=utf-8"), "HTML page"),
    "html_as_data": (Page(b"\n  " + HTML), "HTML page"),
    "not_found": (Page(b"", status=404), "HTTP 404"),
    "other_bytes": (Page(gzip.compress(b"other")), f"wrong checksum.*expected {blob_sha1(PACKED)}"),
    "truncated": (Page(PACKED[:-5000]), "wrong checksum"),
    "empty": (Page(b""), "empty"),
    "unpacked": (Page(RAW), "not gzip.*only the sum of the compressed file"),
    "brotli": (Page(RAW, encoding="br"), "Content-Encoding 'br'"),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_bytes_are_refused_and_nothing_is_left(server, tmp_path, fault, get):
    """Breaks if an error page or a damaged file is saved as data, or the message does not name file and reason."""
    server.pages[URL], message = BAD[fault]
    with pytest.raises(FetchError, match=f"web/{PATH}(?s:.*){server.url}{URL}.*{message}"):
        get([server.url])
    assert [file for file in (tmp_path / "resources/web").rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("fault", BAD)
def test_after_a_bad_mirror_the_next_one_is_asked(server, get, fault):
    """Breaks if one bad mirror ends the search."""
    server.pages["/bad" + URL], server.pages["/good" + URL] = BAD[fault][0], Page(PACKED)
    assert get([f"{server.url}/bad", f"{server.url}/good/{{path}}"]) == PACKED


@pytest.mark.parametrize(("data", "reason"), [(PACKED[:-5000], "truncated gzip"), (PACKED[:-8] + bytes(8), "corrupt")])
def test_damaged_gzip_without_a_published_sum_is_refused(server, get, tmp_path, data, reason):
    """Breaks if the end and the CRC of a gzip are trusted where no sum is known."""
    server.pages[URL] = Page(data)
    with pytest.raises(FetchError, match=f"other/{PATH}: {reason}"):
        get([server.url], source="other", lock=tmp_path / "checksums.lock")
    assert not (tmp_path / "checksums.lock").exists()


@given(cut=st.integers(1, 199), flip=st.integers(0, 199))
def test_no_truncated_or_changed_gzip_passes(tmp_path_factory, cut, flip):
    """Breaks if any way of damaging a gzip file gives other data and still verifies."""
    data = random.Random(1).randbytes(150)
    packed, file = gzip.compress(data, mtime=0), tmp_path_factory.mktemp("gz") / "x.gz"
    record = FileRecord(sha256_raw=hashlib.sha256(data).hexdigest())
    file.write_bytes(packed[: cut * len(packed) // 200])
    with pytest.raises(FetchError):
        verify(file, "x.gz", record)
    changed = bytearray(packed)
    changed[flip % len(packed)] ^= 0x55
    file.write_bytes(changed)
    try:
        assert verify(file, "x.gz", record) is False
        assert gzip.decompress(changed) == data  # time and system in the header say nothing of the data
    except FetchError:
        pass


def test_an_unpacked_file_is_packed_again_where_its_raw_sum_is_known(server, get, tmp_path):
    """Breaks if a server that decompresses on the way makes x.gz something else than gzip, or not always the same."""
    server.pages["/raw/x.gz"] = Page(RAW)
    packed = get([server.url], path="raw/x.gz")
    assert gzip.decompress(packed) == RAW
    assert packed[3:8] == bytes(5)  # neither name nor time
    (tmp_path / "resources" / "web" / "raw/x.gz").unlink()
    server.pages["/raw/x.gz"] = Page(RAW[:-1])
    with pytest.raises(FetchError, match="expected " + FILES["raw/x.gz"].sha256_raw):
        get([server.url], path="raw/x.gz")


@pytest.mark.parametrize(
    ("path", "body", "result"),
    [(PATH, PACKED, PACKED), (PATH, gzip.compress(PACKED), PACKED), (GMT, PACKED, RAW)],
    ids=["the_file_itself", "gzip_in_gzip", "plain_name"],
)
def test_content_encoding_gzip(server, get, path, body, result):
    """Breaks if a client's decoding, or its absence, changes the file that was published."""
    server.pages[f"/{path}"] = Page(body, encoding="gzip", drop_at=[50])
    assert get([server.url], path=path) == result


def test_a_silent_host_is_left_after_the_connect_timeout(get, tmp_path, caplog):
    """Breaks if a host that never answers is asked twice, or waited for longer than it may take to connect."""
    folder = good_folder(tmp_path)
    with silent_address() as silent:
        assert get([f"http://{silent}", folder], patience=replace(PATIENT, connect=0.1)) == PACKED
    assert f"no connection to {silent} within 0.1 s" in caplog.text
    assert "trying again" not in caplog.text


def test_a_refusing_host_is_asked_twice(get, tmp_path, caplog):
    """Breaks if a refused connection is final, or asked for as often as a server that answers with errors."""
    folder = good_folder(tmp_path)
    with refusing_address() as refusing:
        assert get([f"http://{refusing}", folder]) == PACKED
    assert f"unreachable: {refusing}" in caplog.text
    assert caplog.text.count("trying again") == 1 < PATIENT.attempts - 1


def test_a_silent_name_server_is_left_after_the_connect_timeout(get, tmp_path, monkeypatch, caplog):
    """Breaks if the name look-up, which has no timeout of its own, is waited for."""
    import socket

    folder = good_folder(tmp_path)
    real = socket.getaddrinfo
    answered = threading.Event()

    def hang(host, *rest, **more):
        if host == "dead.invalid":
            answered.wait(HANG)
            raise socket.gaierror("a silent name server gives up")
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:  # were the look-up waited for, this would take an hour
        assert get(["http://dead.invalid", folder], patience=replace(PATIENT, connect=0.1)) == PACKED
    finally:
        answered.set()
    assert "no connection to dead.invalid:80 within 0.1 s" in caplog.text


def good_folder(folder) -> str:
    """A mirror that takes no connection, so that a short patience with the one before it does not concern it."""
    file = folder / "good" / PATH
    file.parent.mkdir(parents=True)
    file.write_bytes(PACKED)
    return f"{folder}/good"


def test_all_mirrors_failing_names_each_with_its_reason(server, get, tmp_path):
    """Breaks if the error of one mirror hides the others', or no remedy is named."""
    server.pages["/b" + URL] = Page(HTML, content_type="text/html")
    with pytest.raises(FetchError) as caught:
        get([f"{server.url}/a", f"{server.url}/b", str(tmp_path / "folder")])
    for part in (
        f"{server.url}/a{URL}: HTTP 404",
        f"{server.url}/b{URL}: answered with an HTML",
        "folder",
        "not there",
    ):
        assert part in str(caught.value)
    assert "AEFLOW_MIRROR" in str(caught.value)


def test_what_was_there_outlives_a_failed_download(server, get, tmp_path):
    """Breaks if an old file, even a wrong one, is lost to bytes that were refused."""
    destination = tmp_path / "resources" / "web" / PATH
    destination.parent.mkdir(parents=True)
    destination.write_bytes(b"old")
    server.pages[URL] = Page(gzip.compress(b"other"))
    with pytest.raises(FetchError):
        get([server.url])
    assert destination.read_bytes() == b"old"
    server.pages[URL] = Page(PACKED)
    assert get([server.url]) == PACKED


def test_the_mirror_folder_comes_first_and_a_gap_in_it_is_passed_over(server, get, tmp_path, monkeypatch, caplog):
    """Breaks if AEFLOW_MIRROR is asked after the network, or a file absent there is the end."""
    caplog.set_level(logging.INFO)
    server.pages |= {URL: Page(PACKED), f"/{GMT}": Page(RAW)}
    (tmp_path / "mirror/web/deep").mkdir(parents=True)
    (tmp_path / "mirror/web" / PATH).write_bytes(PACKED)
    monkeypatch.setenv("AEFLOW_MIRROR", str(tmp_path / "mirror"))
    assert get([server.url]) == PACKED
    assert server.requests == []
    assert get([server.url], path=GMT) == RAW
    assert f"{tmp_path}/mirror/web/{GMT}: not there" in caplog.text
    monkeypatch.setenv("AEFLOW_MIRROR", str(tmp_path / "mirro"))
    with pytest.raises(ConfigError, match=r"AEFLOW_MIRROR names .*mirro'"):
        get([server.url], path="raw/x.gz")


def test_the_lock_file_keeps_the_first_sum_and_refuses_another(server, get, tmp_path):
    """Breaks if a file that changed upstream is taken without a word, or the message lacks one of the sums."""
    lock, path = tmp_path / "checksums.lock", "new/a.tsv"
    server.pages |= {f"/{path}": Page(b"one\n"), "/b.tsv": Page(b"two\n")}
    assert get([server.url], path=path, source="other", lock=lock) == b"one\n"
    get([server.url], path="b.tsv", source="other", lock=lock)
    assert [line.split("  ")[1] for line in lock.read_text().splitlines()] == ["other/b.tsv", f"other/{path}"]
    (tmp_path / "resources/other" / path).unlink()
    server.pages[f"/{path}"] = Page(b"three\n")
    sums = [hashlib.sha256(data).hexdigest() for data in (b"three\n", b"one\n")]
    with pytest.raises(FetchError, match=f"{sums[0]}.*checksums.lock recorded {sums[1]}"):
        get([server.url], path=path, source="other", lock=lock)
    lock.write_bytes(b"\xef\xbb\xbf" + lock.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")  # as an editor saves it
    with pytest.raises(FetchError, match=f"{sums[0]}.*checksums.lock recorded {sums[1]}"):
        get([server.url], path=path, source="other", lock=lock)
    lock.write_bytes(b"\xe9\n")
    with pytest.raises(ConfigError, match=r"checksums.lock: not UTF-8"):
        get([server.url], path=path, source="other", lock=lock)
    lock.write_text("what is this\n")
    with pytest.raises(ConfigError, match=r"checksums.lock, line 1: .*'what is this'"):
        get([server.url], path=path, source="other", lock=lock)


def test_an_md5_that_the_caller_knows_is_checked_before_the_file_is_taken(server, get, tmp_path):
    """Breaks if bytes that a GDC manifest does not vouch for are placed, or if good ones there are fetched again."""
    server.pages |= {"/bad/a.tsv": Page(b"two\n"), "/good/a.tsv": Page(b"one\n")}
    md5, wrong = (hashlib.md5(data).hexdigest() for data in (b"one\n", b"two\n"))
    lock = tmp_path / "checksums.lock"
    with pytest.raises(FetchError, match=f"md5 is {wrong}, expected {md5}"):
        get([f"{server.url}/bad"], path="a.tsv", source="other", md5=md5, lock=lock)
    assert not (tmp_path / "resources/other/a.tsv").exists()
    mirrors = [f"{server.url}/bad", f"{server.url}/good"]
    assert get(mirrors, path="a.tsv", source="other", md5=md5, lock=lock) == b"one\n"
    assert not lock.exists()  # the sum is published, so there is nothing to record
    server.pages.clear()
    assert get(mirrors, path="a.tsv", source="other", md5=md5, lock=lock) == b"one\n"


@given(first=st.integers(0, 10**12), length=st.integers(1, 10**9), total=st.none() | st.integers(0, 10**12))
def test_content_range_is_read(first, length, total):
    """Breaks if the offset or the size of a Range answer is misread."""
    value = f"bytes {first}-{first + length - 1}/{'*' if total is None else total}"
    assert parse_content_range(value) == (first, total)


@given(st.text() | st.from_regex(r"bytes [0-9]*-?[0-9]*/?[0-9*]*", fullmatch=True))
def test_a_malformed_content_range_is_no_error(value):
    """Breaks if a server's nonsense in a header ends the job with a traceback."""
    assert parse_content_range(value) is None or value.strip().startswith("bytes ")


def test_names_that_do_not_exist_are_refused_before_any_request(server, get):
    """Breaks if a typo costs a download, or the message does not say what would have been right."""
    with pytest.raises(ConfigError, match="unknown source 'wep'; known: web"):
        get(None, source="wep")
    with pytest.raises(ConfigError, match=f"'web' has no file 'deep/x.txt'; nearest: {PATH}"):
        get([server.url], path="deep/x.txt")
    for path in ("../x", "/etc/passwd", "a/../../x", ""):
        with pytest.raises(ConfigError, match="no relative path"):
            get([server.url], path=path, source="other")
    assert server.requests == []


def test_real_files_are_known_by_their_sums(shared, tmp_path, monkeypatch):
    """Breaks if the registry's table or the git blob sum is wrong for the real RNAseqDB and MNIST files."""
    monkeypatch.undo()
    paths = [path for path in known_files("rnaseqdb") if (shared / "data/rnaseqdb" / path).exists()]
    assert len(known_files("rnaseqdb")) == 156
    assert len(paths) >= 40
    paths = sorted(paths, key=lambda path: known_files("rnaseqdb")[path].gz_bytes)[:6]
    for source, path in [("rnaseqdb", path) for path in paths] + [("mnist", "t10k-labels-idx1-ubyte.gz")]:
        original = shared / "data" / source / path
        fetch(source, path, tmp_path / source / path, mirror_folder=shared / "data")
        assert (tmp_path / source / path).read_bytes() == original.read_bytes()
    damaged = tmp_path / "damaged/rnaseqdb" / paths[0]
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes((shared / "data/rnaseqdb" / paths[1]).read_bytes())
    with pytest.raises(FetchError, match="wrong checksum: sha256"):
        verify(damaged, paths[0], known_files("rnaseqdb")[paths[0]])
    with pytest.raises(FetchError, match="git blob sha1"):  # most files have no other sum
        verify(damaged, paths[0], FileRecord(git_blob_sha1=known_files("rnaseqdb")[paths[0]].git_blob_sha1))


def test_parsing_the_snakefile_stays_cheap():
    """Breaks if `known_files`, called at each start of Snakemake, pulls in libraries that only downloads need."""
    code = "import sys, aeflow.download.registry; aeflow.download.registry.known_files('rnaseqdb'); print(*sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code], env=child_environment(), capture_output=True, text=True, check=True
    )
    assert {"requests", "pandas", "numpy", "torch", "filelock"}.isdisjoint(out.stdout.split())

"""One file over HTTP: a `.part` file that grows, is resumed by Range, and is complete when the function returns.

Range requests, If-Range, Content-Range and 416 follow RFC 9110, section 14.
"""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aeflow import __version__
from aeflow.errors import FetchError

logger = logging.getLogger(__name__)

CHUNK = 1 << 18  # bytes
PROGRESS_EVERY = 5.0  # seconds
LONGEST_BACKOFF = 4.0  # seconds
PASSING = (408, 429, 500, 502, 503, 504)  # answers that may be other ones a moment later
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)", re.ASCII)


@dataclass(frozen=True)
class Patience:
    """How long to wait for others, in seconds, and how often to ask.

    Parameters
    ----------
    connect : from the first step to a connection, name look-up and all addresses of the host together.
    read : between two pieces of an answer.
    attempts : without any new byte, after which the mirror is given up.
    connect_attempts : the same for refused connections.
    backoff : before the second attempt; doubles from there.
    registry : for the first answer of a package registry.
    client : for one run of a package registry's client.
    """

    connect: float = 5.0
    read: float = 30.0
    attempts: int = 4
    connect_attempts: int = 2
    backoff: float = 0.5
    registry: float = 20.0
    client: float = 600.0


@dataclass(frozen=True)
class PartState:
    """What the server said of the file that a `.part` holds the beginning of; kept beside it as JSON."""

    url: str
    etag: str | None
    last_modified: str | None
    total: int | None  # bytes on the wire
    encoding: str | None  # "gzip" where the server compressed the file for the way
    resumable: bool

    @property
    def validator(self) -> str | None:
        """Value for If-Range, which takes no weak ETag (RFC 9110, 13.1.5)."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified


class _Passing(Exception):
    """This attempt failed, the next one may not; `attempts` is how many failures in a row are enough."""

    def __init__(self, reason: str, attempts: int | None = None):
        super().__init__(reason)
        self.attempts = attempts


def download(url: str, part: Path, patience: Patience) -> tuple[bool, str | None]:
    """Complete `part` from `url`, continuing what an earlier call, even a killed one, left there.

    Returns
    -------
    resumed : bool
        Whether `part` holds bytes of more than one answer, so that a wrong sum is worth a new start.
    encoding : str or None
        ``"gzip"`` where the server compressed the file for the way.

    Raises
    ------
    FetchError
        The reason, without the URL. `part` stays only if the server can continue it.
    """
    failures, furthest = 0, _size(part) if read_state(part, url) else 0
    while True:
        try:
            return _attempt(url, part, patience)
        except _Passing as problem:
            failures = 1 if _size(part) > furthest else failures + 1
            furthest = max(furthest, _size(part))
            if failures >= (problem.attempts or patience.attempts):
                state = read_state(part, url)
                if state and not state.resumable:
                    discard(part)
                raise FetchError(f"{problem} (given up after {failures} attempts without a new byte)") from None
            logger.warning("%s: %s; trying again", url, problem)
            time.sleep(min(patience.backoff * 2 ** (failures - 1), LONGEST_BACKOFF))


def discard(part: Path) -> None:
    """Remove a `.part` file and what was known of it."""
    part.unlink(missing_ok=True)
    state_path(part).unlink(missing_ok=True)


def read_state(part: Path, url: str) -> PartState | None:
    """Return what is known of `part`, or None where it is no beginning of `url` that can be continued."""
    if not part.exists() or not state_path(part).exists():
        return None
    try:
        state = PartState(**json.loads(state_path(part).read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        logger.warning("%s: unreadable, starting from zero", state_path(part))
        return None
    return state if state.url == url else None


def _attempt(url: str, part: Path, patience: Patience) -> tuple[bool, str | None]:
    """Ask once and write what comes; returns as `download` does."""
    import requests  # here, because the Snakefile's parsing needs none of it

    state = read_state(part, url)
    offset = _size(part) if state else 0
    if state and offset and offset == state.total:  # killed between the last byte and the move
        return True, state.encoding
    check_reachable(url, patience)
    headers = {"Accept-Encoding": "identity", "User-Agent": f"aeflow/{__version__}"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if state.validator:
            headers["If-Range"] = state.validator
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=(patience.connect, patience.read))
    except requests.exceptions.SSLError as error:
        raise FetchError(f"TLS: {error}") from None
    except requests.exceptions.ConnectTimeout:
        raise FetchError(f"no connection within {patience.connect:g} s") from None
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
        raise _Passing(f"no answer ({error})") from None
    except requests.exceptions.RequestException as error:
        raise FetchError(str(error)) from None
    with response:
        if offset and response.status_code in (206, 416) and not _continues(response, offset, state):
            discard(part)
            raise _Passing(f"HTTP {response.status_code} does not continue the {offset} bytes at hand")
        _check_answer(response, asked_range=offset > 0)
        continued = response.status_code == 206
        if offset:
            logger.info("%s: %s", url, f"continuing at byte {offset}" if continued else "starting from zero")
        if not continued:
            state = _begin(response, url, part)
        _write(response, part, state)
    return continued, state.encoding


def check_reachable(url: str, patience: Patience) -> None:
    """Open and close one connection to the host of `url` (or the proxy before it) within ``patience.connect``.

    A client's own timeout counts for each address of a host, and not at all for the name look-up, so that a
    blocked host with eight addresses would cost minutes.
    """
    from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy

    proxy = select_proxy(url, get_environ_proxies(url))
    target = urlsplit(prepend_scheme_if_needed(proxy, "http") if proxy else url)
    port = target.port or (443 if target.scheme == "https" else 80)
    outcome: list[OSError | None] = []

    def connect() -> None:
        error: OSError | None = None
        try:
            addresses = socket.getaddrinfo(target.hostname, port, type=socket.SOCK_STREAM)
            addresses.sort(key=lambda info: info[0] != socket.AF_INET)  # a dead IPv6 route is the commoner fault
            for family, kind, protocol, _, address in addresses:
                try:
                    with socket.socket(family, kind, protocol) as connection:
                        connection.settimeout(patience.connect)
                        connection.connect(address)
                    return outcome.append(None)
                except OSError as problem:
                    error = problem
        except (OSError, UnicodeError) as problem:
            error = OSError(f"{target.hostname}: {problem}")
        outcome.append(error)

    thread = threading.Thread(target=connect, daemon=True)  # nothing stops a name look-up: leave it behind
    thread.start()
    thread.join(patience.connect)
    if not outcome or isinstance(outcome[0], TimeoutError):
        raise FetchError(f"unreachable: no connection to {target.hostname}:{port} within {patience.connect:g} s")
    if isinstance(outcome[0], ConnectionError):
        raise _Passing(f"unreachable: {target.hostname}:{port}: {outcome[0]}", patience.connect_attempts)
    if outcome[0]:
        raise FetchError(f"unreachable: {outcome[0]}")


def _check_answer(response, *, asked_range: bool) -> None:
    """Raise unless the answer is a file: _Passing where asking again may help, FetchError where it cannot."""
    status = response.status_code
    phrase = f"HTTP {status} {response.reason or ''}".strip()
    if status in PASSING:
        raise _Passing(phrase)
    if status != 200 and not (status == 206 and asked_range):
        raise FetchError(phrase)
    kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise FetchError(f"answered with an HTML page (Content-Type {kind}), not with the file")
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise FetchError(f"Content-Encoding {encoding!r} although identity was asked for")


def _continues(response, offset: int, state: PartState) -> bool:
    """Whether a 206 answer starts at `offset` of the very file that `state` describes."""
    found = parse_content_range(response.headers.get("Content-Range", ""))
    if response.status_code != 206 or not found or found[0] != offset:
        return False
    same_size = None in (found[1], state.total) or found[1] == state.total
    etag = response.headers.get("ETag")
    return same_size and (None in (etag, state.etag) or etag == state.etag)


def parse_content_range(value: str) -> tuple[int, int | None] | None:
    """Return (first byte, size of the whole or None) of a Content-Range header; None if it is not one."""
    match = CONTENT_RANGE.fullmatch(value.strip())
    if not match or int(match[1]) > int(match[2]):
        return None
    return int(match[1]), None if match[3] == "*" else int(match[3])


def _begin(response, url: str, part: Path) -> PartState:
    """Empty `part` and note what the server says of the file, before the first byte of it."""
    from aeflow.files import write_json

    length = response.headers.get("Content-Length", "")
    state = PartState(
        url=url,
        etag=response.headers.get("ETag"),
        last_modified=response.headers.get("Last-Modified"),
        total=int(length) if length.isascii() and length.isdecimal() else None,
        encoding="gzip" if "gzip" in response.headers.get("Content-Encoding", "").lower() else None,
        resumable=response.headers.get("Accept-Ranges", "").lower() == "bytes",
    )
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(b"")
    write_json(asdict(state), state_path(part))
    return state


def _write(response, part: Path, state: PartState) -> None:
    """Append the answer's bytes as they came over the wire; _Passing if fewer came than were announced."""
    from urllib3.exceptions import HTTPError

    begun = reported = time.monotonic()
    first = size = _size(part)
    try:
        # what has come is on disk at once: a kill on a slow line loses nothing
        with part.open("ab", buffering=0) as out:
            while chunk := response.raw.read1(CHUNK, decode_content=False):
                out.write(chunk)
                size += len(chunk)
                if time.monotonic() - reported >= PROGRESS_EVERY:
                    reported = time.monotonic()
                    logger.info("%s: %s", state.url, _progress(size, state.total, size - first, reported - begun))
    except HTTPError as error:
        raise _Passing(f"connection lost after {_size(part)} of {state.total or 'unknown'} bytes ({error})") from None
    if state.total is not None and size < state.total:
        raise _Passing(f"connection closed after {size} of {state.total} bytes")
    if state.total is not None and size > state.total:
        discard(part)
        raise _Passing(f"{size} bytes came where {state.total} were announced")
    logger.info("%s: %s", state.url, _progress(size, state.total, size - first, time.monotonic() - begun))


def _progress(size: int, total: int | None, moved: int, seconds: float) -> str:
    whole = f" of {total / 1e6:.1f} MB ({size / total:.0%})" if total else " MB"
    return f"{size / 1e6:.1f}{whole}, {moved / 1e6 / max(seconds, 1e-3):.2f} MB/s"


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def state_path(part: Path) -> Path:
    """Return where what is known of `part` is kept."""
    return part.with_name(part.name + ".json")

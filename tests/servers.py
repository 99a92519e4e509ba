"""A loopback web server with the faults that downloads meet, and an address that never answers."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What the server gives under one path, and what goes wrong on the way."""

    body: bytes
    status: int = 200
    content_type: str = "application/octet-stream"
    encoding: str | None = None  # the Content-Encoding header; the body goes out as it is
    etag: str | None = '"1"'
    ranges: bool = True  # honours Range, and says so
    refuse_ranges: bool = False  # answers 416 to every Range
    shift: int = 0  # added to the first byte of a Range answer: a server that miscounts
    failures: list[int] = field(default_factory=list)  # statuses given first, one an answer
    drop_at: list[int] = field(default_factory=list)  # bytes after which the connection closes, one an answer
    hold_at: int | None = None  # bytes after which the answer waits for `release`
    release: threading.Event = field(default_factory=threading.Event)


@dataclass
class Server:
    """A running server: its address, its pages by path, and the requests it saw as (path, headers)."""

    url: str
    pages: dict[str, Page] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def ranges(self) -> list[str | None]:
        """Range header of each request, None where there was none."""
        return [headers.get("Range") for _, headers in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments) -> None:
        """Keep the output of the tests clean."""

    def do_GET(self) -> None:
        self.server.state.requests.append((self.path, dict(self.headers)))
        self.close_connection = True
        page = self.server.state.pages.get(self.path)
        if page is None:
            return self._send(404, b"not here", {"Content-Type": "text/plain"})
        if page.failures:
            return self._send(page.failures.pop(0), b"later", {})
        headers = {"Content-Type": page.content_type, "Accept-Ranges": "bytes" if page.ranges else "none"}
        headers |= {"ETag": page.etag} if page.etag else {}
        headers |= {"Content-Encoding": page.encoding} if page.encoding else {}
        start = self._start(page)
        if start and page.refuse_ranges:
            return self._send(416, b"", {"Content-Range": f"bytes */{len(page.body)}"})
        if not start:
            return self._send(page.status, page.body, headers, page)
        start += page.shift
        headers["Content-Range"] = f"bytes {start}-{len(page.body) - 1}/{len(page.body)}"
        return self._send(206, page.body[start:], headers, page)

    def _start(self, page: Page) -> int:
        """First byte asked for, 0 where the whole is due."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        stale = self.headers.get("If-Range", page.etag) != page.etag
        return int(match[1]) if match and page.ranges and not stale else 0

    def _send(self, status: int, body: bytes, headers: dict[str, str], page: Page | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # a client that was killed
            if page and page.drop_at:
                body = body[: page.drop_at.pop(0)]
            if page and page.hold_at is not None:
                self.wfile.write(body[: page.hold_at])
                self.wfile.flush()
                page.release.wait()  # released at the latest when the server ends
                body = body[page.hold_at :]
            self.wfile.write(body)


@contextlib.contextmanager
def web_server() -> Iterator[Server]:
    """Run a server on a free loopback port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.state = Server(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.state
    finally:
        for page in server.state.pages.values():
            page.release.set()
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def silent_address() -> Iterator[str]:
    """Yield a host:port that neither accepts nor refuses, as behind a firewall that drops packets."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # fill the queue of connections that nobody accepts
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield "{}:{}".format(*listener.getsockname())


@contextlib.contextmanager
def refusing_address() -> Iterator[str]:
    """Yield a host:port where nobody listens."""
    with socket.socket() as bound:  # bound and never listening, so no other process gets the port
        bound.bind(("127.0.0.1", 0))
        yield "{}:{}".format(*bound.getsockname())

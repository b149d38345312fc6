"""Unpacking archives that may be hostile: nothing is written outside the target, nothing beyond declared limits."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from harness.data.atomic import atomic_folder, require_space, unwritable
from harness.dataset import Limits
from harness.errors import DataError

SUFFIXES = (".tar.xz", ".tar.gz", ".tgz", ".tar.bz2", ".tar", ".zip")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # they would reach the reader's terminal
_COPY = 1 << 20
_LONGEST_HEADER = 1 << 20
# NotImplementedError: a zip of an unknown method or version; RecursionError: thousands of tar headers about one file
_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, struct.error, EOFError, OSError, ValueError,
    ArithmeticError, NotImplementedError, RecursionError, MemoryError,
)  # fmt: skip


def is_archive(path: Path) -> bool:
    """Tell by the name whether `path` is an archive that `unpack` can read."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(
    archive: Path,
    target: Path,
    limits: Limits,
    remedy: str = "pack the files again",
    advance: Callable[[int], None] = lambda items: None,
) -> None:
    """Unpack the regular files of `archive` into the new folder `target`; `remedy` is what a refusal advises.

    Raises DataError, and leaves nothing behind, when the archive is damaged, holds a name outside `target`, a link
    or a device, two files of one name, or more than `limits`.
    """
    try:
        with atomic_folder(target) as folder:
            guard = _Guard(archive, folder, limits, remedy)
            members = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
            for name, size, read in members(archive, guard):
                guard.copy(name, size, read)
                advance(1)
    except _DAMAGED as error:
        raise DataError(f"{archive}: damaged archive ({error}); download or copy it again") from error


class _Guard:
    """Checks each member before a byte of it is written."""

    def __init__(self, archive: Path, folder: Path, limits: Limits, remedy: str) -> None:
        self.archive, self.folder, self.limits, self.remedy = archive, folder, limits, remedy
        self.size = self.files = 0
        self.seen: set[PurePosixPath] = set()

    def refuse(self, name: str, why: str) -> DataError:
        shown = _CONTROL.sub("?", name[:80])
        return DataError(f"{self.archive}: refused, '{shown}' {why}; {self.remedy}")

    def path(self, name: str) -> PurePosixPath:
        """Return the member's path below the target folder."""
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name or not path.parts:
            raise self.refuse(name, "leaves the target folder")
        if _CONTROL.search(name):
            raise self.refuse(name, "has control characters in its name")
        return path

    def count(self, name: str, size: int) -> None:
        """Count one file against the limits."""
        self.size, self.files = self.size + size, self.files + 1
        if self.size > self.limits.size or self.files > self.limits.files:
            declared = f"{self.limits.gigabytes:g} GB or {self.limits.files} files"
            raise self.refuse(name, f"exceeds the declared {declared} (`limits` of the dataset's entry)")

    def copy(self, name: str, size: int, read: IO[bytes]) -> None:
        path = self.path(name)
        if path in self.seen:
            raise self.refuse(name, "is there twice")
        self.seen.add(path)
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        require_space(target.parent, size, self.archive.name)
        left = size
        with target.open("xb") as file:
            while block := read.read(min(_COPY, left + 1)):
                left -= len(block)
                if left < 0:
                    raise self.refuse(name, "is longer than its header says")
                self._write(file, block)
        if left:
            raise self.refuse(name, "is shorter than its header says")

    def _write(self, file: IO[bytes], block: bytes) -> None:
        try:
            file.write(block)
        except OSError as error:  # the disk is at fault, not the archive
            raise unwritable(self.folder.parent, error) from error


def _tar_members(archive: Path, guard: _Guard) -> Iterator[tuple[str, int, IO[bytes]]]:
    with _decompressed(archive) as stream:
        bounded = cast("IO[bytes]", _Bounded(stream, guard))
        with tarfile.open(fileobj=bounded, mode="r:") as tar:
            for member in tar:
                guard.path(member.name)
                if not (member.isreg() or member.isdir()):
                    raise guard.refuse(member.name, "is a link or a device")
                guard.count(member.name, max(0, member.size))  # folders too: a million of them pack into a few bytes
                if member.isdir():
                    continue
                content = tar.extractfile(member)
                assert content is not None
                yield member.name, member.size, content


def _zip_members(archive: Path, guard: _Guard) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            guard.path(member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise guard.refuse(member.filename, "is a link or a device")
            if member.flag_bits & 1:
                raise guard.refuse(member.filename, "is encrypted: unpack it yourself")
            guard.count(member.filename, member.file_size)
        for member in file.infolist():
            if not member.is_dir():
                with file.open(member) as content:
                    yield member.filename, member.file_size, content


@contextmanager
def _decompressed(archive: Path) -> Iterator[IO[bytes]]:
    with archive.open("rb") as file:
        magic = file.read(6)
    with _stream(archive, magic) as stream:
        yield stream


def _stream(archive: Path, magic: bytes) -> IO[bytes]:
    """Open by what the file begins with, whatever its name says."""
    if magic.startswith(b"\xfd7zXZ\0"):
        return cast("IO[bytes]", lzma.LZMAFile(archive))
    if magic.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(archive))
    if magic.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.BZ2File(archive))
    return archive.open("rb")


class _Bounded:
    """A stream that refuses to be read in one large piece: a tar header of gigabytes is an attack on memory."""

    def __init__(self, stream: IO[bytes], guard: _Guard) -> None:
        self.stream, self.guard = stream, guard

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LONGEST_HEADER + tarfile.BLOCKSIZE:
            raise DataError(f"{self.guard.archive}: refused, a header of {size} bytes; {self.guard.remedy}")
        return self.stream.read(size)

    def seek(self, position: int) -> int:
        return self.stream.seek(position)

    def tell(self) -> int:
        return self.stream.tell()

"""A place that results travel through: a folder, or any other address that fsspec can reach."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import UserError, disk_full
from harness.workflow.pages import Pages


class Store:
    """Files below an address such as /mnt/shared/cavga, s3://bucket/cavga, sftp://host/cavga or https://host/cavga.

    Raises UserError, one line that names the address and the remedy, for whatever goes wrong there.
    """

    def __init__(self, address: str, *, writes: bool = False) -> None:
        self.address = address
        if self._is_page and writes:
            raise self._read_only()
        with reached(address):
            self._files, self._root = self._opened()

    def _opened(self) -> tuple[Any, str]:
        """Return the file system of an address, and the address as that calls it."""
        if self._is_page:
            return Pages(), self.address
        import fsspec.core

        files, root = fsspec.core.url_to_fs(self.address)
        return files, root

    @property
    def _is_page(self) -> bool:
        return self.address.startswith(("http://", "https://"))

    @property
    def _has_folders(self) -> bool:
        """Tell folders from buckets: these need no folders, and who asks for one gets a bucket for a mistyped name."""
        return self._root.startswith("/") or "file" in self._files.protocol

    def _read_only(self) -> UserError:
        return UserError(
            f"{self.address}: can only be read; push to a folder, or to an address such as s3:// or sftp://"
        )

    def require_content(self) -> None:
        """Raise UserError where nothing was pushed to."""
        if not any(self.find(folder) for folder in ("records", "fits")):
            raise UserError(f"{self.address}: holds no fits and no records; mend the address, or push to it first")

    def find(self, folder: str) -> list[str]:
        """Return the names of all files below a folder, sorted; none where there is no such folder."""
        with reached(self.address):
            try:
                found = self._files.find(self._path(folder))
            except FileNotFoundError:
                return []
        start = len(self._path("")) + 1
        return sorted(path[start:] for path in found if not path.endswith(".tmp"))

    def read(self, name: str) -> bytes | None:
        """Return a file's content; None where there is no such file."""
        with reached(self.address):
            try:
                content: bytes = self._files.cat_file(self._path(name))
            except FileNotFoundError:
                return None
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a small new file: it appears whole or not at all."""
        path = self._path(name)
        with self._written():
            if not self._has_folders:
                self._files.pipe_file(path, content)  # an object is there when all of it is
                return
            temporary = f"{path}.{os.getpid()}.tmp"
            self._make_folder(path)
            self._files.pipe_file(temporary, content)
            self._files.mv(temporary, path)

    def put(self, source: Path, name: str) -> None:
        """Copy a file there. Who is interrupted leaves a part of it, so something else has to vouch for it."""
        path = self._path(name)
        with self._written():
            self._make_folder(path)
            self._files.put_file(str(source), path)

    def _make_folder(self, path: str) -> None:
        if self._has_folders:
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)

    @contextmanager
    def _written(self) -> Iterator[None]:
        with reached(self.address):
            try:
                yield
            except NotImplementedError as error:
                raise self._read_only() from error
            except FileNotFoundError as error:
                if self._has_folders:
                    raise
                bucket = self._root.partition("/")[0]
                raise UserError(
                    f"{self.address}: there is no bucket '{bucket}'; create it, or mend its name"
                ) from error

    def get(self, name: str, target: Path) -> None:
        """Copy a file from there."""
        with reached(self.address):
            self._files.get_file(self._path(name), str(target))

    def remove(self, name: str) -> None:
        """Delete a file."""
        with reached(self.address):
            self._files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}".rstrip("/")


@contextmanager
def reached(address: str) -> Iterator[None]:
    """Turn whatever goes wrong at an address into a UserError, one line that names it; a full disk stays what it is."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # every kind of store raises errors of its own
        if disk_full(error):
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{address}: cannot be used ({text}); {remedy(error, text)}") from error


def remedy(error: Exception, text: str) -> str:
    """Return what helps against an error that a kind of store raised, from its type, name or text."""
    kinds = " ".join(kind.__name__ for kind in type(error).__mro__)
    if isinstance(error, ImportError):
        return (
            f"run: pip install {named[1]}" if (named := re.match(r"Install (\S+)", text)) else "install what it names"
        )
    if "Protocol not known" in text:
        return "give a folder, or an address that begins like s3:// or sftp://"
    if "Credential" in kinds or "credentials" in text:
        return "log in first (S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials)"
    if isinstance(error, PermissionError):
        return "ask for the rights there, or use other credentials"
    if isinstance(error, ConnectionError) or re.search("Connect|Timeout", kinds):
        return "mend the address, or check the network"
    return "mend the address or the rights there"

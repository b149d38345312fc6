"""A place that results travel through: a folder, or any other address that fsspec can reach."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import UserError, disk_full


class Store:
    """Files below an address such as /mnt/shared/cavga, s3://bucket/cavga or sftp://host/cavga.

    Raises UserError, one line that names the address, for whatever goes wrong there.
    """

    def __init__(self, address: str) -> None:
        import fsspec.core

        self.address = address
        with self._at():
            self._files, self._root = fsspec.core.url_to_fs(address)

    def find(self, folder: str) -> list[str]:
        """Return the names of all files below a folder, sorted; none where there is no such folder."""
        with self._at():
            try:
                found = self._files.find(self._path(folder))
            except FileNotFoundError:
                return []
        start = len(self._path("")) + 1
        return sorted(path[start:] for path in found if not path.endswith(".tmp"))

    def read(self, name: str) -> bytes | None:
        """Return a file's content; None where there is no such file."""
        with self._at():
            try:
                content: bytes = self._files.cat_file(self._path(name))
            except FileNotFoundError:
                return None
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a small new file: it appears whole or not at all."""
        path = self._path(name)
        temporary = f"{path}.{os.getpid()}.tmp"
        with self._at():
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(temporary, content)
            self._files.mv(temporary, path)

    def put(self, source: Path, name: str) -> None:
        """Copy a file there. Who is interrupted leaves a part of it, so something else has to vouch for it."""
        path = self._path(name)
        with self._at():
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(source), path)

    def get(self, name: str, target: Path) -> None:
        """Copy a file from there."""
        with self._at():
            self._files.get_file(self._path(name), str(target))

    def remove(self, name: str) -> None:
        """Delete a file."""
        with self._at():
            self._files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}".rstrip("/")

    @contextmanager
    def _at(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # every kind of store raises errors of its own
            if disk_full(error):
                raise
            text = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{self.address}: cannot be used ({text}); mend the address or the rights there") from error

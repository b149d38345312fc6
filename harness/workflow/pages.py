"""A store behind a plain web server that lists its folders, read-only: what `Store` asks of a file system of fsspec.

fsspec's own reader of such pages wants another package, takes a server that does not answer for an empty folder, and a
list's links that sort it for files.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import IO, cast
from urllib.parse import urljoin, urlsplit

import requests

SECONDS = (10.0, 60.0)
"""How long a server may take to take a connection, and to say something."""
DEEPEST = 8
"""Folders in one another; a record lies six deep. A server that answers to anything lists them without end."""


class Pages:
    """Files below an http:// or https:// address. Raises FileNotFoundError, or OSError with what the server said."""

    def __init__(self) -> None:
        self._session = requests.Session()

    def find(self, folder: str) -> list[str]:
        """Return the addresses of all files below a folder, as its pages and those below it link to them."""
        return list(self._below(folder.rstrip("/"), DEEPEST))

    def cat_file(self, address: str) -> bytes:
        """Return a file's content."""
        with self._get(address) as answer:
            return answer.content

    def get_file(self, address: str, target: str) -> None:
        """Copy a file to a path."""
        with self._get(address) as answer, Path(target).open("wb") as file:
            answer.raw.decode_content = True
            shutil.copyfileobj(cast(IO[bytes], answer.raw), file)

    def _below(self, folder: str, depth: int) -> Iterator[str]:
        with self._get(f"{folder}/") as answer:
            names = linked(answer.text, answer.url) if "html" in answer.headers.get("Content-Type", "") else []
        for name in names:
            if not name.endswith("/"):
                yield f"{folder}/{name}"
            elif depth:
                yield from self._below(f"{folder}/{name[:-1]}", depth - 1)

    def _get(self, address: str) -> requests.Response:
        try:
            answer = self._session.get(address, stream=True, timeout=SECONDS)
        except requests.Timeout as error:
            raise TimeoutError("no answer in time") from error
        except requests.ConnectionError as error:
            raise ConnectionError("no connection") from error
        if answer.status_code == requests.codes.not_found:
            raise FileNotFoundError(address)
        if not answer.ok:
            raise OSError(f"the server says {answer.status_code} {answer.reason}")
        return answer


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for key, value in attributes if tag == "a" and key == "href" and value]


def linked(page: str, address: str) -> list[str]:
    """Return the names in a folder that its page links to, folders with a slash: no other folders, no sorted lists."""
    parser = _Links()
    parser.feed(page)
    links = [urlsplit(urljoin(address, link)) for link in parser.found]
    here = urlsplit(address)
    names = [
        link.path.removeprefix(here.path)
        for link in links
        if link.netloc == here.netloc and link.path.startswith(here.path) and not link.query
    ]
    return sorted({name for name in names if name and "/" not in name[:-1] and name not in ("./", "../", "/")})

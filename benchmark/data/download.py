"""Downloading one file from its mirrors: resumed, checked, never hanging."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

from benchmark.data.archives import Limits
from benchmark.data.atomic import require_space
from benchmark.data.verify import is_intact
from benchmark.errors import DataError

CONNECT_SECONDS, READ_SECONDS = 4.0, 30.0
BLOCK = 1 << 16  # at most this is lost when the connection breaks


def download(mirror: Mapping[str, Any], folder: Path, limits: Limits, say: Callable[[str], None]) -> Path:
    """Return the file in `folder`, downloaded unless an intact one is there.

    A `.part` file left by an earlier attempt is continued.
    Mirrors are tried in turn. Raises DataError naming what went wrong with each.
    """
    path, failures = folder / str(mirror["file"]), []
    if path.exists() and is_intact(path, mirror):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    for url in mirror["urls"]:
        say(f"downloading {url}")
        try:
            _require_host(url)
            part = _download(url, path, int(mirror.get("bytes", limits.size)))
            if is_intact(part, mirror):
                part.replace(path)
                return path
            part.unlink()
            failures.append(f"{_host(url)}: another file than expected (digest differs)")
        except requests.RequestException as error:
            failures.append(f"{_host(url)}: {_reason(error)}")
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror}); free space or change rights") from error
    raise DataError(
        f"{path.name}: no mirror gave it ({'; '.join(failures)}); check the network, or put the file into the data root"
    )


def _download(url: str, path: Path, largest: int) -> Path:
    """Bring one URL into a `.part` file beside `path`, from where an earlier attempt stopped."""
    part = path.with_name(f"{path.name}.part")
    done = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()  # the rest begins behind the end: what is here is no part of that file
            return _download(url, path, largest)
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content:
            done = 0
        total = done + int(answer.headers.get("Content-Length", 0))
        require_space(path.parent, total - done, path.name)
        with (
            part.open("ab" if done else "wb") as file,
            tqdm(total=total or None, initial=done, unit="B", unit_scale=True, desc=path.name,
                 disable=not sys.stderr.isatty()) as bar,
        ):  # fmt: skip
            for block in answer.iter_content(BLOCK):
                done += len(block)
                if done > largest:
                    raise requests.RequestException(f"more than the declared {largest} bytes")
                file.write(block)
                bar.update(len(block))
    return part


def _require_host(url: str) -> None:
    """Raise ConnectionError when the host's name is not resolved in time: no timeout of requests covers that."""
    if requests.utils.get_environ_proxies(url):
        return  # a proxy resolves the name
    answers: list[object] = []

    def ask() -> None:
        with suppress(OSError):
            answers.extend(socket.getaddrinfo(urlsplit(url).hostname, None))

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    if not answers:
        raise requests.ConnectionError


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.ConnectTimeout | requests.ReadTimeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"status {error.response.status_code}"
    return str(error)[:80]

"""Downloading one file from its mirrors: resumed, checked, never hanging."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urljoin, urlsplit

import requests
from tqdm import tqdm

from harness.data.atomic import make_folder, require_space, unwritable
from harness.data.verify import is_intact
from harness.dataset import Limits, Mirror
from harness.errors import DataError

CONNECT_SECONDS, READ_SECONDS = 4.0, 30.0
MOST_REDIRECTS = 5
BLOCK = 1 << 16  # at most this is lost when the connection breaks


def download(mirror: Mirror, folder: Path, limits: Limits, say: Callable[[str], None]) -> Path:
    """Return the file in `folder`, downloaded unless an intact one is there.

    A `.part` file left by an earlier attempt is continued.
    Mirrors are tried in turn. Raises DataError naming what went wrong with each.
    """
    path, failures = folder / mirror.file, []
    if path.exists() and is_intact(path, mirror):
        return path
    make_folder(folder)
    part = path.with_name(f"{path.name}.part")
    for url in mirror.urls:
        say(f"downloading {url}")
        try:
            if _bring(url, part, mirror, mirror.bytes or limits.size):
                part.replace(path)
                return path
            failures.append(f"{_host(url)}: another file than expected (digest differs)")
        except requests.RequestException as error:
            failures.append(f"{_host(url)}: {_reason(error)}")
        except OSError as error:
            raise unwritable(path, error) from error
    remedy = f"run it again to go on after {part.stat().st_size:,} bytes" if part.exists() else "check the network"
    raise DataError(
        f"{path.name}: no mirror gave it ({'; '.join(failures)}); {remedy}, or put the file into the data root"
    )


def _bring(url: str, part: Path, mirror: Mirror, largest: int) -> bool:
    """Tell whether `part` could be completed from `url`; one that turns out to be another file is deleted.

    What an earlier attempt left may be of another mirror, so a wrong whole is then fetched once more from the start.
    """
    for _ in range(2):
        continued = part.exists()
        _download(url, part, mirror, largest)
        if is_intact(part, mirror):
            return True
        part.unlink()
        if not continued:
            break
    return False


def _download(url: str, part: Path, mirror: Mirror, largest: int) -> None:
    """Bring one URL into the file `part`, from where an earlier attempt stopped."""
    done = part.stat().st_size if part.exists() else 0
    with _answer(url, {"Range": f"bytes={done}-"} if done else {}) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            if mirror.digest == "unverified" or not is_intact(part, mirror):
                part.unlink()  # the rest begins behind the end: what is here is no part of that file
                _download(url, part, mirror, largest)
            return
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content:
            done = 0
        length = int(answer.headers.get("Content-Length", 0))
        _require_at_most(done + length, largest, part)
        require_space(part.parent, length, part.stem)
        with (
            part.open("ab" if done else "wb") as file,
            tqdm(total=done + length or None, initial=done, unit="B", unit_scale=True, desc=part.stem,
                 disable=not sys.stderr.isatty()) as bar,
        ):  # fmt: skip
            for block in answer.iter_content(BLOCK):
                done += len(block)
                _require_at_most(done, largest, part)
                file.write(block)
                bar.update(len(block))


def _require_at_most(size: int, largest: int, part: Path) -> None:
    if size > largest:
        part.unlink(missing_ok=True)  # never to be continued
        raise requests.RequestException(f"more than the declared {largest} bytes")


def _answer(url: str, headers: Mapping[str, str]) -> requests.Response:
    """Ask for a URL and follow its redirects, none of which may hang either."""
    for _ in range(MOST_REDIRECTS):
        _require_host(url)
        answer = requests.get(
            url,
            headers={"Accept-Encoding": "identity", **headers},
            stream=True,
            allow_redirects=False,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
        )
        if not answer.is_redirect:
            return answer
        answer.close()
        url = urljoin(url, answer.headers["Location"])
    raise requests.TooManyRedirects(f"more than {MOST_REDIRECTS} redirects")


def _require_host(url: str) -> None:
    """Raise ConnectionError when the host cannot be reached in time.

    A timeout of requests covers neither the name's resolving nor all addresses together, of which some hosts have many.
    """
    if requests.utils.get_environ_proxies(url):
        return  # a proxy resolves the name
    place, reached = urlsplit(url), Event()

    def ask() -> None:
        with suppress(OSError):
            port = place.port or (443 if place.scheme == "https" else 80)
            socket.create_connection((place.hostname or "", port), CONNECT_SECONDS).close()
            reached.set()
        done.set()

    done = Event()
    Thread(target=ask, daemon=True).start()
    done.wait(2 * CONNECT_SECONDS)
    if not reached.is_set():
        raise requests.ConnectionError


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.ConnectTimeout | requests.ReadTimeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"status {error.response.status_code}"
    return str(error)[:80]

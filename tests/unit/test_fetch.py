"""Fetching: mirrors, resuming, digests, licences, no network, and data that are already there."""

from __future__ import annotations

import fcntl
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.data import download
from harness.data.availability import available
from harness.data.fetch import fetch
from harness.data.licences import Licences
from harness.data.prepare import prepare
from harness.data.preparing import Preparing
from harness.errors import DataError
from tests import painters
from tests.entries import IDX, LAG, MVTEC, bring, dataset

LICENCE = {"name": "CC BY 4.0", "url": "https://example.org/licence"}


class Server:
    """A mirror on this machine that knows ranges and remembers what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.cut: int | None = None
        self.cuts: dict[str, int] = {}
        self.moved: dict[str, str] = {}
        self.announces = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.asked.append((request.path, wanted))
        if request.path in self.moved:
            request.send_response(302)
            request.send_header("Location", self.moved[request.path])
            request.end_headers()
            return
        content = self.files.get(request.path)
        if content is None:
            request.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if start and start >= len(content):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        if self.announces:
            request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        request.wfile.write(content[start : self.cuts.get(request.path, self.cut)])


@pytest.fixture
def server() -> Iterator[Server]:
    mirror = Server()
    yield mirror
    mirror.server.shutdown()
    mirror.server.server_close()


def entry_for(content: bytes, *urls: str, **extra: Any) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    mirror = {"file": "all.tar.gz", "urls": list(urls), "digest": digest, **extra}
    return {**MVTEC, "licence": LICENCE, "mirrors": [mirror]}


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    home = painters.mvtec(tmp_path / "paint" / "parts")
    return painters.archive(home, tmp_path / "paint" / "all.tar.gz").read_bytes()


def get(entry: dict[str, Any], work: Path, **how: Any) -> list[str]:
    licences = Licences(work / "licences.json", how.pop("accepted", ["parts"]))
    said: list[str] = []
    fetch(
        dataset(entry),
        how.pop("root", None),
        work / "raw" / "parts",
        "bottle",
        licences=licences,
        say=said.append,
        **how,
    )
    return said


def test_downloads_checks_unpacks_and_prepares(tmp_path: Path, server: Server, content: bytes) -> None:
    server.files["/all.tar.gz"] = content
    entry = entry_for(content, f"{server.url}/all.tar.gz")
    assert available(dataset(entry), "bottle", None, tmp_path / "raw/parts") == (
        "unavailable: not in the data root (parts/); `cavga-bench fetch parts` downloads it"
    )
    said = get(entry, tmp_path)
    assert said[-1] == "parts bottle: all.tar.gz (verified)"
    assert available(dataset(entry), "bottle", None, tmp_path / "raw/parts") is None
    manifest = prepare(dataset(entry), "bottle", tmp_path / "raw/parts", tmp_path / "out", Preparing(16, 3))
    assert manifest.sources[0]["status"] == "verified"
    asked = len(server.asked)
    stamp = tmp_path / "raw/parts/bottle.json"
    changed = stamp.stat().st_mtime_ns
    get(entry, tmp_path)
    assert len(server.asked) == asked, "downloaded again"
    assert stamp.stat().st_mtime_ns == changed


def test_resumes_where_it_stopped(
    tmp_path: Path, server: Server, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "BLOCK", 100)
    server.files["/all.tar.gz"] = content
    server.cut = 1000
    entry = entry_for(content, f"{server.url}/all.tar.gz")
    with pytest.raises(
        DataError, match=r"no mirror gave it \(.*: broke off\); run it again to go on after 1,000 bytes"
    ):
        get(entry, tmp_path)
    part = tmp_path / "raw/parts/downloads/all.tar.gz.part"
    assert part.stat().st_size == 1000
    server.cut = None
    get(entry, tmp_path)
    assert server.asked[-1] == ("/all.tar.gz", "bytes=1000-")
    assert not part.exists()


def test_part_of_another_file_is_thrown_away(tmp_path: Path, server: Server, content: bytes) -> None:
    server.files["/all.tar.gz"] = content
    part = tmp_path / "raw/parts/downloads/all.tar.gz.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * (len(content) + 10))
    get(entry_for(content, f"{server.url}/all.tar.gz"), tmp_path)
    assert (part.parent / "all.tar.gz").read_bytes() == content


def test_part_left_by_a_wrong_mirror_does_not_spoil_the_right_one(
    tmp_path: Path, server: Server, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "BLOCK", 100)
    server.files |= {"/wrong/all.tar.gz": b"<html>" * 999, "/right/all.tar.gz": content}
    server.cuts = {"/wrong/all.tar.gz": 1000}
    get(entry_for(content, *(f"{server.url}/{place}/all.tar.gz" for place in ("wrong", "right"))), tmp_path)
    assert server.asked[1:] == [("/right/all.tar.gz", "bytes=1000-"), ("/right/all.tar.gz", None)]


def test_whole_part_is_not_downloaded_again(tmp_path: Path, server: Server, content: bytes) -> None:
    server.files["/all.tar.gz"] = content
    part = tmp_path / "raw/parts/downloads/all.tar.gz.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(content)
    assert get(entry_for(content, f"{server.url}/all.tar.gz"), tmp_path)[-1].endswith("(verified)")
    assert server.asked == [("/all.tar.gz", f"bytes={len(content)}-")]


def test_redirects_are_followed_but_not_for_ever(tmp_path: Path, server: Server, content: bytes) -> None:
    server.files["/there/all.tar.gz"] = content
    server.moved = {"/all.tar.gz": "/there/all.tar.gz", "/loop": "/loop", "/file": "file:///etc/passwd"}
    get(entry_for(content, f"{server.url}/all.tar.gz"), tmp_path)
    for place, message in (("loop", "more than 5 redirects"), ("file", "no connection")):
        with pytest.raises(DataError, match=message):
            get(entry_for(content, f"{server.url}/{place}"), tmp_path / place)


def test_next_mirror_is_tried(tmp_path: Path, server: Server, content: bytes) -> None:
    server.files |= {"/wrong/all.tar.gz": content[:-1] + b"!", "/right/all.tar.gz": content}
    urls = [f"{server.url}/{place}/all.tar.gz" for place in ("gone", "wrong", "right")]
    get(entry_for(content, "http://127.0.0.1:9/all.tar.gz", *urls), tmp_path)
    assert [path for path, _ in server.asked] == ["/gone/all.tar.gz", "/wrong/all.tar.gz", "/right/all.tar.gz"]
    with pytest.raises(
        DataError, match=r"127\.0\.0\.1:9: no connection; .*: status 404; .*: another file than expected"
    ):
        get(entry_for(content, "http://127.0.0.1:9/all.tar.gz", *urls[:2]), tmp_path / "other")
    assert not list((tmp_path / "other").rglob("all.tar.gz*"))


def test_file_that_is_already_there_is_checked_too(tmp_path: Path, server: Server, content: bytes) -> None:
    server.files["/all.tar.gz"] = content
    downloads = tmp_path / "raw/parts/downloads"
    downloads.mkdir(parents=True)
    (downloads / "all.tar.gz").write_bytes(content[:-1] + b"!")
    said = get(entry_for(content, f"{server.url}/all.tar.gz"), tmp_path)
    assert said[0].endswith("all.tar.gz: damaged, so it is deleted")
    assert len(server.asked) == 1
    assert said[-1].endswith("(verified)")


def test_more_than_declared_is_refused(tmp_path: Path, server: Server, content: bytes) -> None:
    server.files["/all.tar.gz"] = content
    entry = entry_for(content, f"{server.url}/all.tar.gz", bytes=100)
    for announced in (True, False):
        server.announces = announced
        with pytest.raises(DataError, match=r"more than the declared 100 bytes.*check the network"):
            get(entry, tmp_path)
        assert not list((tmp_path / "raw/parts/downloads").iterdir())


def test_licence_comes_before_the_download(tmp_path: Path, server: Server, content: bytes) -> None:
    server.files["/all.tar.gz"] = content
    entry = entry_for(content, f"{server.url}/all.tar.gz")
    with pytest.raises(
        DataError, match=r"parts: its licence is CC BY 4\.0 \(https://example.org/licence\); read it, then"
    ):
        get(entry, tmp_path, accepted=[])
    assert not server.asked
    licences = Licences(tmp_path / "licences.json")
    licences.accept(dataset(entry))
    record = json.loads((tmp_path / "licences.json").read_text())["parts"]
    assert record["licence"] == "CC BY 4.0"
    assert record["accepted"] == time.strftime("%Y-%m-%d", time.gmtime())
    get(entry, tmp_path, accepted=[])
    changed = {**entry, "licence": {**LICENCE, "name": "CC BY 5.0"}}
    with pytest.raises(DataError, match=r"its licence is CC BY 5\.0"):
        Licences(tmp_path / "licences.json").require(dataset(changed))


def test_accepted_licence_is_shown_with_its_date(tmp_path: Path) -> None:
    said: list[str] = []
    entry = {**MVTEC, "licence": {**LICENCE, "non_commercial": True}}
    (tmp_path / "licences.json").write_text('{"parts": "damaged"}')
    Licences(tmp_path / "licences.json", say=said.append).accept(dataset(entry))
    today = time.strftime("%Y-%m-%d", time.gmtime())
    shown = f"CC BY 4.0, not for commercial use (https://example.org/licence), accepted on {today}"
    assert said == [f"parts: licence {shown}"]


def test_licence_accepted_in_the_configuration_is_recorded(tmp_path: Path, server: Server, content: bytes) -> None:
    server.files["/all.tar.gz"] = content
    get(entry_for(content, f"{server.url}/all.tar.gz"), tmp_path, accepted=["parts"])
    assert "parts" in json.loads((tmp_path / "licences.json").read_text())


def test_offline_never_asks(tmp_path: Path, server: Server, content: bytes) -> None:
    with pytest.raises(DataError, match="`offline: true` forbids the network"):
        get(entry_for(content, f"{server.url}/all.tar.gz"), tmp_path, offline=True)
    assert not server.asked


def test_name_that_is_never_resolved_is_no_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()
    monkeypatch.setattr(download.socket, "getaddrinfo", lambda *_: [answer.wait(60)][:0])
    monkeypatch.setattr(download.requests.utils, "get_environ_proxies", lambda url: {})
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.05)
    with pytest.raises(DataError, match=r"mirror\.invalid: no connection\); check the network, or put the file into"):
        get(entry_for(b"", "https://mirror.invalid/all.tar.gz"), tmp_path)
    answer.set()


def test_host_that_never_answers_is_no_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.05)
    monkeypatch.setattr(download, "READ_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/all.tar.gz"
        with pytest.raises(DataError, match=r"127\.0\.0\.1:\d+: no answer in time\); check the network"):
            get(entry_for(b"", url), tmp_path)


def test_second_fetch_says_that_it_waits(tmp_path: Path) -> None:
    painters.mvtec(tmp_path / "root" / "parts")
    waiting = threading.Event()
    said: list[str] = []
    raw = tmp_path / "work/raw/parts"
    raw.mkdir(parents=True)

    def say(text: str) -> None:
        said.append(text)
        waiting.set()

    with (raw / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        other = threading.Thread(
            target=fetch, args=(dataset(MVTEC), tmp_path / "root", raw, "bottle"), kwargs={"say": say}
        )
        other.start()
        assert waiting.wait(20)
        assert said == [f"{raw}: another fetch is at work here; waiting for it"]
    other.join()
    assert said[-1] == "parts bottle: folder parts (unverified)"


def test_names_of_archives_may_have_braces(tmp_path: Path) -> None:
    painters.archive(painters.mvtec(tmp_path / "paint"), tmp_path / "root/parts/a{b}bottle.zip")
    entry = {**MVTEC, "archives": ["a{b}{category}.zip"]}
    assert available(dataset(entry), "bottle", tmp_path / "root", tmp_path / "raw") is None


def test_gated_set_says_where_to_ask_and_where_to_put_it(tmp_path: Path) -> None:
    expected = "password: ask the authors, then put the files into eyes/ of the data root"
    assert available(dataset(LAG), "fundus", tmp_path, tmp_path / "raw") == expected
    with pytest.raises(DataError, match="eyes fundus: password: ask the authors, then put the files into eyes/"):
        fetch(dataset(LAG), tmp_path, tmp_path / "raw", licences=Licences(tmp_path / "l.json"))


def test_what_is_missing_does_not_hide_what_is_there(tmp_path: Path) -> None:
    painters.mvtec(tmp_path / "root" / "parts", "tile")
    with pytest.raises(DataError, match="parts bottle: unavailable"):
        fetch(dataset(MVTEC), tmp_path / "root", tmp_path / "raw")
    assert (tmp_path / "raw" / "tile.json").exists()
    assert available(dataset(MVTEC), "tile", None, tmp_path / "raw") is None


@pytest.mark.parametrize("place", ["parts/bottle", "bottle", "parts/bottle.zip", "parts/all.tar.gz", "all.tar.gz"])
def test_the_users_own_files_are_found_where_users_put_them(tmp_path: Path, place: str) -> None:
    entry, root = {**MVTEC, "folders": ["parts", "."]}, tmp_path / "root"
    if place.endswith("bottle"):
        painters.mvtec((root / place).parent)
    elif place.endswith(".zip"):
        painters.archive(painters.mvtec(tmp_path / "paint"), root / place)
    else:
        painters.mvtec(tmp_path / "paint" / "mvtec", "tile")
        painters.mvtec(tmp_path / "paint" / "mvtec")
        painters.archive(tmp_path / "paint" / "mvtec", root / place)
    assert available(dataset(entry), "bottle", root, tmp_path / "work/raw/parts") is None
    assert bring(entry, "bottle", root, tmp_path / "work").manifest.counts["train"] == 12
    if place.endswith("gz"):
        assert bring(entry, "tile", root, tmp_path / "work").manifest.kind == "texture"
        assert len(list((tmp_path / "work/raw/parts/unpacked").glob("all*"))) == 2, "unpacked once, with its receipt"


def test_replaced_archive_is_unpacked_again(tmp_path: Path) -> None:
    root = tmp_path / "root"
    home = painters.mvtec(tmp_path / "paint")
    painters.archive(home, root / "parts" / "bottle.zip")
    first = bring(MVTEC, "bottle", root, tmp_path / "work").manifest
    painters.save(home / "train/good/003.png", painters.picture(200))
    painters.archive(home, root / "parts" / "bottle.zip")
    assert bring(MVTEC, "bottle", root, tmp_path / "work").manifest.digest != first.digest


def test_what_an_archive_was_is_known_when_it_is_gone(tmp_path: Path) -> None:
    root = tmp_path / "root"
    archive = painters.archive(painters.mvtec(tmp_path / "paint"), root / "parts" / "all.tar.gz")
    mirror = {"file": "all.tar.gz", "urls": ["https://example.org/x"], "digest": f"sha256:{'0' * 64}"}
    entry = {**MVTEC, "mirrors": [mirror]}
    before = bring(entry, "bottle", root, tmp_path / "work").manifest
    archive.unlink()
    after = bring(entry, "bottle", root, tmp_path / "work").manifest
    assert after.sources == before.sources
    assert after.notes == before.notes == ["all.tar.gz is not the official file"]
    stamp = json.loads((tmp_path / "work/raw/parts/bottle.json").read_text())
    assert (stamp["sources"], stamp["notes"]) == (before.sources, before.notes)


def test_official_files_known_copies_and_others_are_told_apart(tmp_path: Path) -> None:
    folder = painters.idx(tmp_path / "root" / "numbers")
    path = folder / "train-images-idx3-ubyte.gz"
    official = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"

    def notes(mirror: dict[str, Any], work: str) -> tuple[str, list[str]]:
        mirror = {"file": path.name, "urls": ["https://example.org/x"], **mirror}
        manifest = bring({**IDX, "mirrors": [mirror]}, "0", tmp_path / "root", tmp_path / work, channels=1).manifest
        return manifest.sources[0]["status"], manifest.notes

    other = f"sha256:{'0' * 64}"
    assert notes({"digest": official}, "a") == ("verified", [])
    assert notes({"digest": official[:19].replace("sha256", "sha256-prefix")}, "b") == ("verified", [])
    assert notes({"digest": "unverified"}, "c") == ("unverified", [])
    assert notes({"digest": other}, "d") == ("not the official file", [f"{path.name} is not the official file"])
    copies = [{"digest": official, "note": "in another order"}]
    assert notes({"digest": other, "copies": copies}, "e") == ("known copy", ["in another order"])
    inside = hashlib.md5(painters.idx_bytes(painters.digits(60)[0])).hexdigest()
    assert notes({"digest": other, "content": f"md5:{inside}"}, "f") == ("verified", [])

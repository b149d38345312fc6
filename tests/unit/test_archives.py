"""Hostile archives: nothing outside the target, no link, no device, no bomb, no code."""

from __future__ import annotations

import io
import os
import pickle
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from harness.data.archives import Limits, unpack
from harness.data.layouts.cifar_batches import load_plain, read_batch
from harness.data.npy import ArrayFile
from harness.errors import DataError
from tests import painters
from tests.entries import MVTEC, bring

SMALL = Limits(gigabytes=1e-4, files=5)


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def refused(archive: Path, target: Path, message: str, limits: Limits = SMALL) -> None:
    before = {path: path.stat().st_mtime_ns for path in target.parent.parent.rglob("*")}
    with pytest.raises(DataError, match=message) as error:
        unpack(archive, target, limits)
    assert archive.name in str(error.value)
    after = {path: path.stat().st_mtime_ns for path in target.parent.parent.rglob("*")}
    assert {p for p in after if p not in before} <= {target.parent}, "something was written"


@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "/tmp/out.txt", "a\\..\\..\\out.txt", "C:evil.txt"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_names_that_leave_the_target_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    archive = tmp_path / "packs" / f"a.{kind}"
    archive.parent.mkdir()
    if kind == "tar":
        painters.tar(archive, {"good.txt": b"1", name: b"2"})
    else:
        with zipfile.ZipFile(archive, "w") as pack:
            pack.writestr("good.txt", "1")
            pack.writestr(name, "2")
    refused(archive, tmp_path / "work" / "out", "leaves the target folder")


@pytest.mark.parametrize(
    "member",
    [
        special("link", tarfile.SYMTYPE, "/etc/passwd"),
        special("link", tarfile.LNKTYPE, "good.txt"),
        special("null", tarfile.CHRTYPE),
        special("disk", tarfile.BLKTYPE),
        special("pipe", tarfile.FIFOTYPE),
    ],
    ids=["symbolic", "hard", "character device", "block device", "fifo"],
)
def test_links_and_devices_are_refused(tmp_path: Path, member: tarfile.TarInfo) -> None:
    archive = painters.tar(tmp_path / "a.tar.gz", {"good.txt": b"1", member.name: member})
    refused(archive, tmp_path / "work" / "out", "is a link or a device")


def test_file_through_an_earlier_link_is_refused(tmp_path: Path) -> None:
    members = {"dir": special("dir", tarfile.SYMTYPE, str(tmp_path)), "dir/out.txt": b"2"}
    refused(painters.tar(tmp_path / "a.tar", members), tmp_path / "work" / "out", "is a link or a device")


def test_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as pack:
        member = zipfile.ZipInfo("link")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        pack.writestr(member, "/etc/passwd")
    refused(tmp_path / "a.zip", tmp_path / "work" / "out", "is a link or a device")


def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    zeros = b"\0" * 200_000
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("zeros", zeros)
    for archive in (painters.tar(tmp_path / "a.tar.xz", {"zeros": zeros}), tmp_path / "a.zip"):
        assert archive.stat().st_size < 2000
        refused(archive, tmp_path / "work" / "out", r"exceeds the declared 0\.0001 GB or 5 files")
    many = painters.tar(tmp_path / "b.tar", {f"{number}": b"" for number in range(6)})
    refused(many, tmp_path / "work" / "out", r"'5' exceeds the declared")


def test_giant_tar_header_is_refused(tmp_path: Path) -> None:
    header = special("x", tarfile.XHDTYPE)
    header.size = 3 << 20
    archive = tmp_path / "a.tar"
    archive.write_bytes(header.tobuf() + b"\0" * (header.size + 1024))
    refused(archive, tmp_path / "work" / "out", "a header of 3145728 bytes")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME], ids=["pax", "gnu"])
def test_thousands_of_headers_about_one_file_are_no_crash(tmp_path: Path, kind: bytes) -> None:
    header = special("x", kind)
    header.size = 6
    block = header.tobuf() + b"6 a=b\n".ljust(512, b"\0")
    (tmp_path / "a.tar").write_bytes(block * 3000 + tarfile.TarInfo("good.txt").tobuf() + b"\0" * 1024)
    refused(tmp_path / "a.tar", tmp_path / "work" / "out", "damaged archive")


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_empty_folders_count_against_the_limit(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / f"a.{kind}"
    if kind == "tar":
        painters.tar(archive, {f"{number}": special(f"{number}", tarfile.DIRTYPE) for number in range(6)})
    else:
        with zipfile.ZipFile(archive, "w") as pack:
            for number in range(6):
                pack.writestr(f"{number}/", "")
    refused(archive, tmp_path / "work" / "out", r"'5/?' exceeds the declared")


def test_names_cannot_write_to_the_readers_terminal(tmp_path: Path) -> None:
    archive = painters.tar(tmp_path / "a.tar", {"a\x1b[2J\nb": b"1"})
    refused(archive, tmp_path / "work" / "out", r"'a\?\[2J\?b' has control characters")


def test_zip_of_an_unknown_method_is_damaged(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as pack:
        pack.writestr("a", "1")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    for start in (content.index(b"PK\3\4") + 8, content.index(b"PK\1\2") + 10):
        content[start] = 99
    (tmp_path / "a.zip").write_bytes(bytes(content))
    refused(tmp_path / "a.zip", tmp_path / "work" / "out", "damaged archive")


def test_damaged_size_of_a_member_is_no_crash(tmp_path: Path) -> None:
    for size in (b"-512", b"9" * 30):
        record = b" size=" + size + b"\n"
        header = special("x", tarfile.XHDTYPE)
        record = b"%d%b" % (len(record) + 2, record)
        header.size = len(record)
        content = header.tobuf() + record.ljust(512, b"\0") + tarfile.TarInfo("a").tobuf() + b"\0" * 1024
        (tmp_path / "a.tar").write_bytes(content)
        refused(tmp_path / "a.tar", tmp_path / "work" / "out", "damaged archive|exceeds the declared")


def test_full_disk_is_not_blamed_on_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = painters.tar(tmp_path / "a.tar", {"good.txt": b"1"})

    class Full(io.FileIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    original = Path.open
    monkeypatch.setattr(Path, "open", lambda path, mode, *how: (Full if "x" in mode else original)(path, mode, *how))
    with pytest.raises(DataError, match=r"work: cannot be written \(No space left on device\); free some space"):
        unpack(archive, tmp_path / "work" / "out", SMALL)
    assert not list((tmp_path / "work").iterdir())


def test_zip_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("zeros", b"\0" * 50_000)
    content = (tmp_path / "a.zip").read_bytes()
    lie = content.replace((50_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lie != content
    (tmp_path / "a.zip").write_bytes(lie)
    refused(tmp_path / "a.zip", tmp_path / "work" / "out", "a.zip")


@pytest.mark.parametrize("cut", [10, 200, 700])
def test_truncated_archive_leaves_nothing(tmp_path: Path, cut: int) -> None:
    noise = np.random.default_rng(0).bytes(2000)
    archive = painters.tar(tmp_path / "a.tar.gz", {"noise": noise})
    archive.write_bytes(archive.read_bytes()[:cut])
    refused(archive, tmp_path / "work" / "out", r"damaged archive|shorter than its header")


def test_doubled_and_encrypted_members_are_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as pack:
        for content in (b"1", b"22"):
            member = tarfile.TarInfo("same.txt")
            member.size = len(content)
            pack.addfile(member, io.BytesIO(content))
    (tmp_path / "a.tar").write_bytes(buffer.getvalue())
    refused(tmp_path / "a.tar", tmp_path / "work" / "out", "is there twice")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as pack:
        pack.writestr("secret", "1")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    for start in (content.index(b"PK\3\4") + 6, content.index(b"PK\1\2") + 8):
        content[start] |= 1
    (tmp_path / "a.zip").write_bytes(bytes(content))
    refused(tmp_path / "a.zip", tmp_path / "work" / "out", "is encrypted")


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.xz", "zip"])
def test_honest_archive_is_unpacked_whole(tmp_path: Path, suffix: str) -> None:
    home = painters.mvtec(tmp_path / "root" / "paint")
    painters.archive(home, tmp_path / "root" / "parts" / f"bottle.{suffix}")
    entry = {**MVTEC, "archives": [f"{{category}}.{suffix}"]}
    prepared = bring(entry, "bottle", tmp_path / "root", tmp_path / "work")
    assert prepared.manifest.counts["train"] == 12
    unpacked = next((tmp_path / "work/raw/parts/unpacked").rglob("license.txt"))
    assert unpacked.read_text() == "for tests\n"
    assert not os.access(unpacked, os.X_OK)


class Attack:
    """An object whose unpickling creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, (f"touch {self.path}",))


def test_pickle_that_wants_to_run_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"data": Attack(tmp_path / "ran"), b"labels": []}))
    with pytest.raises(DataError, match=r"data_batch_1: refused, this pickle wants to call (posix|nt)\.system"):
        read_batch(tmp_path / "data_batch_1")
    (tmp_path / "p").write_bytes(b"cbuiltins\neval\n(S'1'\ntR.")
    with pytest.raises(DataError, match=r"wants to call builtins\.eval"):
        load_plain(tmp_path / "p")
    assert not (tmp_path / "ran").exists()


def test_array_file_with_objects_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.array([Attack(tmp_path / "ran")], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"m\.npy: refused, not an array of numbers"):
        ArrayFile(tmp_path / "m.npy")
    assert not (tmp_path / "ran").exists()
    (tmp_path / "t.npy").write_bytes(b"\x80\x04N.")
    with pytest.raises(DataError, match="refused, not an array of numbers"):
        ArrayFile(tmp_path / "t.npy")
    np.save(tmp_path / "s.npy", np.array(["text"]))
    with pytest.raises(DataError, match="not an array of numbers but of"):
        ArrayFile(tmp_path / "s.npy")

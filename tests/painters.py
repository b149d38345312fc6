"""Small copies of every official layout, the same bytes on every call: what the loaders are tested on."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image


def picture(number: int, side: int = 24, channels: int = 3) -> np.ndarray:
    """A smooth gradient that is another one for every number."""
    down, across = np.mgrid[:side, :side] * 255 // side
    planes = [(down + 37 * number) % 256, (across + 11 * number) % 256, (down // 2 + across // 2) % 256]
    return np.stack(planes[:channels], axis=-1).astype(np.uint8).squeeze()


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    """Write pixels as an image file, creating its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def square(side: int, first: int, last: int) -> np.ndarray:
    """A mask of 0 and 255 with a filled square."""
    mask = np.zeros((side, side), np.uint8)
    mask[first:last, first:last] = 255
    return mask


def mvtec(folder: Path, category: str = "bottle", train: int = 12, side: int = 24, channels: int = 3) -> Path:
    """MVTec AD's layout with two kinds of defects of three images each, and four normal test images."""
    home = folder / category
    for number in range(train):
        save(home / f"train/good/{number:03}.png", picture(number, side, channels))
    for number in range(4):
        save(home / f"test/good/{number:03}.png", picture(50 + number, side, channels))
    for kind, defect in enumerate(("broken", "contamination")):
        for number in range(3):
            pixels, mask = picture(60 + 10 * kind + number, side, channels), square(side, 4 + number, 12 + kind)
            pixels[mask > 0] = 255
            save(home / f"test/{defect}/{number:03}.png", pixels)
            save(home / f"ground_truth/{defect}/{number:03}_mask.png", mask)
    (home / "license.txt").write_text("for tests\n")
    return home


def digits(number: int, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return `number` images of 28² and their labels, 0 to 9 in turn."""
    labels = np.arange(number) % 10
    return np.stack([picture(first + index, 28, 1) for index in range(number)]), labels.astype(np.uint8)


def idx_bytes(array: np.ndarray) -> bytes:
    """Return an array of unsigned bytes as an IDX file."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def idx(folder: Path, zipped: bool = True, train: int = 60, test: int = 30) -> Path:
    """MNIST's four files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (images, labels) in {"train": digits(train), "t10k": digits(test, 100)}.items():
        for what, array in ((f"{name}-images-idx3-ubyte", images), (f"{name}-labels-idx1-ubyte", labels)):
            content = idx_bytes(array)
            path = folder / (f"{what}.gz" if zipped else what)
            path.write_bytes(gzip.compress(content, mtime=0) if zipped else content)
    return folder


def cifar_batches(folder: Path, each: int = 20) -> Path:
    """CIFAR-10's python batches, as Python 2 pickled them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        images = np.stack([picture(number * each + k, 32).transpose(2, 0, 1).ravel() for k in range(each)])
        (folder / name).write_bytes(cifar_batch(name, images, [k % 10 for k in range(each)]))
    return folder


def cifar_batch(name: str, images: np.ndarray, labels: Sequence[int]) -> bytes:
    """Return one batch as a pickle with Python 2's strings and numpy's old module names, which today's cannot write."""

    def text(content: str) -> bytes:
        return b"U" + bytes([len(content)]) + content.encode()

    shape = b"".join(b"M" + struct.pack("<H", length) for length in images.shape)
    dtype = (
        b"cnumpy\ndtype\n" + text("u1") + b"K\0K\1\x87R(K\3" + text("|") + b"NNN" + 2 * b"J\xff\xff\xff\xff" + b"K\0tb"
    )
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + text("b") + b"\x87R"
    values = b"T" + struct.pack("<I", images.nbytes) + images.tobytes()
    array = empty + b"(K\1" + shape + b"\x86" + dtype + b"\x89" + values + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    parts = [text("batch_label"), text(name), text("labels"), numbers, text("data"), array]
    return b"\x80\2}(" + b"".join(parts) + b"u."


def class_tree(folder: Path, names: Sequence[str], suffix: str = "png", train: int = 4, test: int = 2) -> Path:
    """{train,test}/<class>/NNNN.<suffix>, 32²."""
    for split, number in (("train", train), ("test", test)):
        for label, name in enumerate(names):
            for index in range(number):
                save(
                    folder / split / name / f"{index:04}.{suffix}",
                    picture(label * 10 + index + 100 * (split == "test"), 32),
                )
    return folder


def video(path: Path, frames: int, size: tuple[int, int] = (48, 32), first: int = 0) -> Path:
    """An AVI of motion JPEG whose frames are gradients; `size` is width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="avi", options={"fflags": "bitexact"}) as container:
        stream = container.add_stream("mjpeg", rate=24)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p"
        stream.codec_context.flags |= 1 << 23  # bitexact: no version of the encoder in the file
        for number in range(frames):
            pixels = np.asarray(Image.fromarray(picture(first + number, 48)).resize(size))
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def shanghaitech(folder: Path, scenes: Sequence[str] = ("01", "02"), frames: int = 42, clip: int = 20) -> Path:
    """ShanghaiTech Campus: two training videos and one test clip a scene; the second half of the clip is anomalous."""
    for scene in scenes:
        for number in (1, 2):
            video(folder / f"training/videos/{scene}_{number:03}.avi", frames, first=100 * number)
        name, flags = f"{scene}_0014", (np.arange(clip) >= clip // 2).astype(np.uint8)
        masks = np.zeros((clip, 32, 48), np.uint8)
        masks[clip // 2 :, 8:20, 10:30] = 1
        for number in range(clip):
            pixels = np.asarray(Image.fromarray(picture(number, 48)).resize((48, 32)))
            save(folder / f"testing/frames/{name}/{number:03}.jpg", pixels, quality=95)
        for kind, array in (("test_pixel_mask", masks), ("test_frame_mask", flags)):
            (folder / "testing" / kind).mkdir(parents=True, exist_ok=True)
            np.save(folder / "testing" / kind / f"{name}.npy", array)
    return folder


def lag(folder: Path, normal: int = 10, ill: int = 4) -> Path:
    """The part of LAG that its authors hand out: two classes, each with images and attention maps."""
    for name, number in (("non_glaucoma", normal), ("suspicious_glaucoma", ill)):
        for index in range(number):
            spot = np.clip(255 - 24 * np.abs(np.mgrid[:24, :24] - 12).sum(axis=0), 0, 255).astype(np.uint8)
            save(folder / name / "image" / f"{index:04}.jpg", picture(index + 40 * (number == ill)), quality=95)
            save(folder / name / "attention_map" / f"{index:04}.jpg", spot, quality=95)
    return folder


def table(folder: Path) -> Path:
    """A CSV file that lists images and masks."""
    lines = ["image,label,mask,split"]
    for number in range(8):
        save(folder / f"images/{number}.png", picture(number))
        lines.append(f"images/{number}.png,good,,{'train' if number < 6 else 'test'}")
    for number in range(2):
        save(folder / f"images/dent{number}.png", picture(80 + number))
        save(folder / f"masks/dent{number}.png", square(24, 5, 14))
        lines.append(f"images/dent{number}.png,dent,masks/dent{number}.png,test")
    (folder / "images.csv").write_text("\n".join(lines) + "\n")
    return folder


def archive(folder: Path, path: Path) -> Path:
    """Pack `folder` under its own name; the suffix of `path` says how."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as pack:
            for file in files:
                name = zipfile.ZipInfo(str(file.relative_to(folder.parent)), (1980, 1, 1, 0, 0, 0))
                pack.writestr(name, file.read_bytes())
        return path
    return tar(path, {str(file.relative_to(folder.parent)): file.read_bytes() for file in files})


def tar(path: Path, members: dict[str, bytes | tarfile.TarInfo]) -> Path:
    """Write a tar file of members by name; a TarInfo goes in as it is (links, devices, lies)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as pack:
        for name, content in members.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if isinstance(content, tarfile.TarInfo) else content
            member.size = len(data) or member.size
            pack.addfile(member, io.BytesIO(data))
    content = buffer.getvalue()
    if path.name.endswith(".xz"):
        import lzma

        content = lzma.compress(content)
    elif path.name.endswith("gz"):
        content = gzip.compress(content, mtime=0)
    path.write_bytes(content)
    return path


def visa(folder: Path, categories: Sequence[str] = ("candle", "cashew")) -> Path:
    """VisA: one table for all categories, JPEG images, masks whose values are ids."""
    lines = ["object,split,label,image,mask"]
    for kind, name in enumerate(categories):
        for number in range(7):
            image = f"{name}/Data/Images/Normal/{number:04}.JPG"
            save(folder / image, picture(40 * kind + number, 32), format="JPEG", quality=95)
            lines.append(f"{name},{'train' if number < 5 else 'test'},normal,{image},")
        for number in range(2):
            image, mask = (f"{name}/Data/{part}/Anomaly/{number:03}" for part in ("Images", "Masks"))
            save(folder / f"{image}.JPG", picture(40 * kind + 20 + number, 32), format="JPEG", quality=95)
            ids = square(32, 8, 24) // 255
            ids[12:, :] *= 3
            save(folder / f"{mask}.png", ids)
            lines.append(f"{name},test,anomaly,{image}.JPG,{mask}.png")
    (folder / "split_csv").mkdir()
    (folder / "split_csv/1cls.csv").write_text("\n".join(lines) + "\n")
    return folder

"""A dataset as a frozen type: where it comes from, how it lies, and what its files mean.

The schema workflow/schemas/datasets.schema.yaml explains the keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from harness.cell import Entry, Options

EMBEDDED, OPEN, FORM, PASSWORD = "embedded", "open", "form", "password"


@dataclass(frozen=True, kw_only=True)
class Category(Entry):
    """A category, scene or class of a dataset."""

    title: str
    kind: str = "object"
    class_: str | None = None
    counts: Mapping[str, int] | None = None
    painting: Options = field(default_factory=dict)

    @classmethod
    def read(cls, content: Mapping[str, Any], **more: Any) -> Self:
        """Build from a mapping; `class` is a word of Python's, so its field is `class_`."""
        renamed = {"class_" if key == "class" else key: value for key, value in content.items()}
        return super().read(renamed, **more)


@dataclass(frozen=True, kw_only=True)
class Limits(Entry):
    """What an archive may hold at most, once unpacked."""

    gigabytes: float = 8.0
    files: int = 100_000

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return int(self.gigabytes * 1e9)


@dataclass(frozen=True, kw_only=True)
class Licence(Entry):
    """Under which terms a dataset may be used; `pictures`: whether small pictures of it may go with its records."""

    name: str
    url: str
    non_commercial: bool = False
    pictures: bool = False


@dataclass(frozen=True, kw_only=True)
class Copy(Entry):
    """A known file that differs from the official one, and the note that every record on it carries."""

    digest: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Mirror(Entry):
    """One file to download: `digest` is that of the official file, `content` that of what it holds unpacked."""

    file: str
    urls: tuple[str, ...]
    digest: str
    content: str | None = None
    bytes: int | None = None
    copies: tuple[Copy, ...] = ()

    @classmethod
    def read(cls, content: Mapping[str, Any], **more: Any) -> Self:
        """Build from a mapping; see `Entry.read`."""
        return super().read({**content, "copies": [Copy.read(copy) for copy in content.get("copies", [])]}, **more)


@dataclass(frozen=True, kw_only=True)
class Tree(Entry):
    """The names of the three folders of the layout mvtec."""

    train: str = "train"
    test: str = "test"
    masks: str = "ground_truth"


@dataclass(frozen=True, kw_only=True)
class Dataset(Entry):
    """An entry of config/datasets.yaml or of a user's own file. `masks` is None where the files decide."""

    id: str
    title: str
    layout: tuple[str, ...]
    access: str
    categories: Mapping[str, Category]
    part: str = "all"
    painter: str | None = None
    path: str | None = None
    folders: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    raw: str | None = None
    class_protocol: str = "one_class"
    pad: int = 0
    masks: bool | None = None
    mask_values: str = "levels"
    white_level: int = 65535
    doubles: str = "refused"
    ignore: tuple[str, ...] = ()
    tree: Tree = field(default_factory=Tree)
    lossless: bool = False
    table: str = "images.csv"
    sample_every: int = 1
    weak_split: str = "frame"
    train_share: float | None = None
    attention_threshold: float | None = None
    ask: str | None = None
    home: str | None = None
    citation: str | None = None
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] | None = None
    limits: Limits = field(default_factory=Limits)
    licence: Licence | None = None
    mirrors: tuple[Mirror, ...] = ()

    @classmethod
    def read(cls, content: Mapping[str, Any], **more: Any) -> Self:
        """Build from a mapping; see `Entry.read`."""
        layout = content["layout"]
        typed: dict[str, Any] = {
            "layout": [layout] if isinstance(layout, str) else layout,
            "categories": {name: Category.read(value) for name, value in content["categories"].items()},
            "mirrors": [Mirror.read(mirror) for mirror in content.get("mirrors", [])],
        }
        for key, kind in (("tree", Tree), ("limits", Limits), ("licence", Licence)):
            if key in content:
                typed[key] = kind.read(content[key])
        return super().read({**content, **typed}, **more)

    @property
    def embedded(self) -> bool:
        """Tell whether the dataset is made by the program itself and needs no files."""
        return self.access == EMBEDDED

    @property
    def source(self) -> str:
        """Return the name under which its raw files lie; datasets cut from one source share it."""
        return self.raw or self.id

    @property
    def places(self) -> tuple[str, ...]:
        """Return the folders of the data root in which it may lie, the first to be named to a user."""
        return self.folders or (self.id,)

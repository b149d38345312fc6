"""Reading prepared data: uint8 arrays, masks, and the manifest that describes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 2
Indices = Mapping[str, Sequence[int]]
"""By seed, as text."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What prepared data are, as manifest.json says.

    Attributes:
        counts: images by train, test_normal, test_anomalous.
        recipe: what the making of the pixels and splits depended on.
        notes: what every record on these data must say.
        warnings: what a reader of the log should see, the notes among them.
        sources: the archives and files that the raw data came from.
        digest: the hash of ids, labels, source bytes and recipe.
        validation: training images that are held out.
        weak: test images that train weakly supervised methods.
        weak_left_out: test images that leave the test set of these methods.
        error: why preparing failed, or None.
    """

    dataset: str
    category: str
    counts: Mapping[str, int]
    digest: str
    kind: str = "object"
    size: int = 0
    channels: int = 0
    recipe: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    sources: Sequence[Mapping[str, Any]] = ()
    validation: Indices = field(default_factory=dict)
    weak: Indices = field(default_factory=dict)
    weak_left_out: Indices = field(default_factory=dict)
    error: str | None = None

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a file. Raises DataError when it is missing, damaged or of another version."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: no readable manifest; run `cavga-bench prepare` for this category") from error
        if not isinstance(content, dict) or content.pop("schema", None) != SCHEMA:
            raise DataError(f"{path}: written by another version; delete the folder and prepare it again")
        try:
            return cls(**content)
        except TypeError as error:
            raise DataError(f"{path}: damaged ({error}); delete the folder and prepare it again") from error

    def as_dict(self) -> dict[str, Any]:
        """Return the file's content; a manifest without an error does not mention one."""
        return {"schema": SCHEMA} | {key: value for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Prepared:
    """One prepared category. The arrays are memory-mapped when they are first asked for."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path, allow_failed: bool = False) -> Prepared:
        """Open `folder`. Raises DataError when it was not prepared completely or by another version.

        A folder whose preparing failed holds nothing but the reason; it is opened with `allow_failed` only.
        """
        path = folder / "manifest.json"
        manifest = Manifest.read(path)
        if manifest.error is not None and not allow_failed:
            raise DataError(f"{path}: preparing failed: {manifest.error}")
        return cls(folder, manifest)

    def _array(self, name: str) -> np.ndarray:
        path = self.folder / f"{name}.npy"
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: missing or damaged; delete {self.folder} and prepare it again") from error

    @cached_property
    def train(self) -> np.ndarray:
        """All normal training images, uint8 (N,H,W,C)."""
        return self._array("train")

    @cached_property
    def test(self) -> np.ndarray:
        """All test images, uint8 (M,H,W,C)."""
        return self._array("test")

    @cached_property
    def masks(self) -> np.ndarray | None:
        """Ground truth of the test images, uint8 {0,1} (M,H,W); None when the dataset has none."""
        return self._array("masks") if (self.folder / "masks.npy").exists() else None

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row per image: split, index, id, label, anomalous, clip, source_digest, mask_digest."""
        import pandas as pd  # a second to import, and fetching and preparing do without it

        text = dict.fromkeys(("split", "id", "label", "clip", "source_digest", "mask_digest"), str)
        return pd.read_csv(self.folder / "images.csv", dtype=text, keep_default_na=False)

    @cached_property
    def test_images(self) -> pd.DataFrame:
        """The rows of the test images, in the order of `test`."""
        return self.images[self.images["split"] == "test"].reset_index(drop=True)

    @cached_property
    def test_labels(self) -> np.ndarray:
        """Whether each test image is anomalous, bool (M,)."""
        return self.test_images["anomalous"].to_numpy(dtype=bool)

    @cached_property
    def train_labels(self) -> np.ndarray:
        """Class of each training image as 0, 1, 2 … in the order of the sorted class names, int64 (N,)."""
        labels = self.images.loc[self.images["split"] == "train", "label"]
        return labels.astype("category").cat.codes.to_numpy(dtype=np.int64)

    def training_arrays(self, seed: int, validation: bool, weak: bool) -> dict[str, Any]:
        """Return the fields of a TrainingSet as a dict.

        Args:
            seed: base seed; its splits must be frozen in the manifest.
            validation: hold out the validation images.
            weak: give the anomalous images of the weakly supervised setting.
        """
        held_out = np.array(
            self._frozen(self.manifest.validation, "validation", seed) if validation else [], dtype=np.int64
        )
        moved = np.array(self._frozen(self.manifest.weak, "weak", seed) if weak else [], dtype=np.int64)
        kept = np.setdiff1d(np.arange(len(self.train)), held_out)
        return {
            "images": self.train[kept] if validation else self.train,
            "labels": self.train_labels[kept],
            "anomalous": self.test[moved],
            "validation": self.train[held_out],
            "kind": self.manifest.kind,
            "anomalous_masks": None if self.masks is None else self.masks[moved],
            "anomalous_kinds": tuple(self.test_images["label"].iloc[moved]) if weak else (),
        }

    def test_index(self, seed: int, weak: bool) -> np.ndarray:
        """Return the indices of the test images left for evaluation, int64."""
        left_out = self._frozen(self.manifest.weak_left_out, "weak", seed) if weak else []
        return np.setdiff1d(np.arange(len(self.test)), np.array(left_out, dtype=np.int64))

    def _frozen(self, splits: Indices, split: str, seed: int) -> list[int]:
        if str(seed) not in splits:
            raise DataError(f"{self.folder / 'manifest.json'}: no {split} split for seed {seed}; prepare again")
        return list(splits[str(seed)])

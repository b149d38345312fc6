"""The same bytes twice: across training and test a number would be worth nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.data.collection import Row
from harness.data.remarks import Remark
from harness.errors import DataError

ACROSS = "test images that are also training images"
LABELS = "test images of equal bytes that one label calls normal and another anomalous"
WITHIN = "images whose bytes are those of another one of their split"


def doubles(rows: Sequence[Row], digests: Sequence[tuple[str, str]], where: str, allowed: bool) -> list[Remark]:
    """Return a remark for each double; `digests` are those of the rows (image, mask).

    Raises DataError, naming both files, for one that lies in both splits or has two labels, unless that is `allowed`.
    """
    remarks = []
    for row, first in _pairs(rows, digests):
        if row.split == first.split and row.anomalous == first.anomalous:
            remarks.append(Remark(WITHIN, f"{row.id} = {first.id}"))
            continue
        if not allowed:
            raise DataError(
                f"{where}: {first.id} and {row.id} are the same image; remove one of them, or write `doubles: allowed`"
            )
        remarks.append(Remark(ACROSS if row.split != first.split else LABELS, f"{row.id} = {first.id}", True))
    return remarks


def _pairs(rows: Sequence[Row], digests: Sequence[tuple[str, str]]) -> Iterator[tuple[Row, Row]]:
    """Yield each row whose bytes were seen before, with the first that had them; training comes first."""
    seen: dict[str, Row] = {}
    for row, (digest, _) in zip(rows, digests, strict=True):
        first = seen.setdefault(digest, row)
        if first is not row:
            yield row, first

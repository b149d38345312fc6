"""Which images a method can take: `sides` of its entry in config/methods.yaml, asked while planning.

A part is a side in pixels, or "64+8": 64 and every 8 more, up to where the next part begins. With `sides_of: patch` and
an option `patch` the patch's side is meant, and the patch has to lie within the image. No hash covers these: the
detector itself fails on what it cannot take, and a contract test holds both against each other.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.cell import Method, Protocol, Settings

Sides = tuple[int | str, ...]
FARTHEST = 4096
"""Sides beyond are not proposed."""


def takes(sides: Sides, side: int) -> bool:
    """Tell whether a side is among `sides`; nothing declared means any."""
    parts = [tuple(map(int, str(part).split("+"))) for part in sides]
    begun = [part for part in parts if part[0] <= side]
    if not begun:
        return not sides
    start, *step = begun[-1]
    return side == start or (bool(step) and (side - start) % step[0] == 0)


def sides_for(protocol: Protocol, method: Method, dataset: str, category: str, kind: str) -> Sides:
    """Return the `sides` that hold for a category: of the layers that name some, the strongest."""
    entries = [method, *(protocol.methods[name] for name in method.family if name in protocol.methods)]
    layers = [layer for entry in entries for layer in entry.layers(dataset, category, kind)]
    return next((layer.sides for layer in reversed(layers) if layer.sides), ())


def refused(method: Method, sides: Sides, settings: Settings) -> str | None:
    """Return in one line why a method cannot take the images that its settings ask for, or None."""
    image, patch = settings.size, settings.options.get("patch") if method.sides_of == "patch" else None
    if patch is not None and patch > image:
        return (
            f"{method.title}: patches of {patch} pixels are larger than its images of {image}; lower its option `patch`"
        )
    if takes(sides, patch or image):
        return None
    near = " or ".join(map(str, _nearest(sides, patch or image)))
    if patch is not None:
        return f"{method.title} takes patches of {near} pixels, not of {patch}; change its option `patch`"
    instead = ", or its option `patch`" if method.sides_of == "patch" else ""
    return f"{method.title} takes images of {near} pixels, not of {image}; change the protocol's `size`{instead}"


def _nearest(sides: Sides, side: int) -> Iterable[int]:
    """Yield the next smaller and the next larger side that can be taken, where there is one."""
    for way in (range(side - 1, 0, -1), range(side + 1, FARTHEST + 1)):
        yield from (near for near in [next((other for other in way if takes(sides, other)), None)] if near)

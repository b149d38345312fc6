"""Threshold policies for anomaly maps: named ways to choose where a map becomes a mask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError
from harness.metrics.histogram import CODES, PixelCurves, code_at, threshold_at
from harness.metrics.regions import holds_region, minimum_pixels

ORACLE = "oracle: chosen with the test masks"


@dataclass(frozen=True)
class Threshold:
    """A map threshold: pixels whose value is at least `value` (code at least `code`) are predicted anomalous.

    Attributes:
        value: in the map's units; None when the policy cannot be followed, as the note then says.
        code: 0 to 65,536; None with `value`.
        note: what a reader has to know, or None.
    """

    policy: str
    value: float | None
    code: int | None
    note: str | None = None


def fixed_value(policy: str, kind: str = "fixed") -> float | None:
    """Return the t of "<kind>:t", None for another policy. Raises ConfigError when t is not a finite number."""
    name, _, text = policy.partition(":")
    if name != kind:
        return None
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ConfigError(f"threshold policy '{policy}': write '{kind}:' and a number, such as '{kind}:0.5'")
    return value


def normal_code(maps: Iterable[NDArray[np.uint16]], minimum_area: float) -> int | None:
    """Return the smallest code at which no map has an 8-connected region of at least `minimum_area` of its pixels.

    Bergmann et al. 2019, section 4.3, on anomaly-free validation maps (H,W). The pixels at or above a code contain
    those at or above a higher one, so the largest region never grows with the code and a bisection finds the place;
    a map that already passes at the code found so far costs one labelling. None without maps.
    """
    code = None
    for codes in maps:
        pixels = minimum_pixels(minimum_area, codes.shape)
        code = code or 0
        if holds_region(codes >= code, pixels):
            code = _bisect(codes, code, pixels)
    return code


def _bisect(codes: NDArray[np.uint16], failing: int, pixels: int) -> int:
    # above the code of the pixel with rank `pixels`, too few are marked to form such a region
    passing = int(np.partition(codes, -pixels, axis=None)[-pixels]) + 1
    while passing - failing > 1:
        middle = (failing + passing) // 2
        if holds_region(codes >= middle, pixels):
            failing = middle
        else:
            passing = middle
    return passing


class MapThresholds:
    """Resolves map policies for the maps of one category and method."""

    def __init__(self, low: float, high: float, minimum_area: float, own: float | None) -> None:
        self.low, self.high, self.minimum_area, self.own = low, high, minimum_area, own

    def resolve(
        self, policy: str, curves: PixelCurves | None, validation: Iterable[NDArray[np.uint16]] | None
    ) -> Threshold:
        """Return a policy's threshold; without value and with a note when it cannot be followed.

        `curves` of the test pixels serve best_on_test only, `validation` maps (V,H,W) normal_validation only.
        Raises ConfigError when there is no such policy.
        """
        fixed = fixed_value(policy)
        if fixed is not None:
            return self._at(policy, fixed, None)
        if policy == "own":
            if self.own is None:
                return Threshold(policy, None, None, "the method defines no threshold of its own")
            return self._at(policy, self.own, "the method's own threshold")
        if policy == "normal_validation":
            return self._normal_validation(validation)
        if policy == "best_on_test":
            best = curves.best_iou() if curves is not None else None
            if best is None:
                return Threshold(policy, None, None, "no anomalous pixel to choose the threshold with")
            return Threshold(policy, threshold_at(best[0], self.low, self.high), best[0], ORACLE)
        known = "fixed:<number>, normal_validation, best_on_test, own"
        raise ConfigError(f"threshold policy '{policy}' is unknown; use one of {known}")

    def _at(self, policy: str, value: float, note: str | None) -> Threshold:
        return Threshold(policy, value, code_at(value, self.low, self.high), note)

    def _normal_validation(self, validation: Iterable[NDArray[np.uint16]] | None) -> Threshold:
        code = None if validation is None else normal_code(validation, self.minimum_area)
        if code is None:
            return Threshold("normal_validation", None, None, "no anomaly-free validation maps")
        note = f"minimum area {100 * self.minimum_area:g} % of the pixels"
        if code == CODES:
            note += "; validation maps reach the top of the range, so nothing is marked"
        return Threshold("normal_validation", threshold_at(code, self.low, self.high), code, note)

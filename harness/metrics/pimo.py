"""AUPIMO: how much of each defect is found while almost no pixel of normal images is marked.

Bertoldo et al., AUPIMO, BMVC 2024: for each anomalous image the share of its anomalous pixels that are marked, averaged
over the logarithm of the false positive rate from 1e-5 to 1e-4. The rate is that of the normal images alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.metrics.histogram import Counts, Curve, marked_from

LOWER, UPPER = 1e-5, 1e-4


def code_weights(normal: Counts, lower: float = LOWER, upper: float = UPPER) -> Curve | None:
    """Return (65536,) the AUPIMO of an anomalous pixel of each code; an image's is the mean over its anomalous pixels.

    The average is linear in the pixels: trapezoids over the codes, cut at the bounds. Below the smallest rate that the
    maps reach counts what is found without any false positive.

    Args:
        normal: (65536,) how many pixels of the normal images have each code.
        lower: smallest false positive rate.
        upper: largest one.

    Returns None when one pixel of the normal images is more than `lower` of them.
    """
    if normal.sum() * lower < 1:
        return None
    with np.errstate(divide="ignore"):
        rate = np.log(marked_from(normal) / normal.sum())
    above, below = rate[:-1], rate[1:]
    start, end = np.clip(below, *np.log([lower, upper])), np.clip(above, *np.log([lower, upper]))
    # where in its step, from the code above to the code itself, the middle of the part between the bounds lies
    steps = (above > below) & np.isfinite(below)
    share = np.zeros(above.size)
    share[steps] = ((start + end)[steps] / 2 - below[steps]) / (above[steps] - below[steps])
    at_code, at_next = (end - start) * share, (end - start) * (1 - share)
    return np.asarray((at_code.cumsum() + at_next.cumsum() - at_next) / np.log(upper / lower))


def image_overlap(codes: NDArray[np.uint16], mask: NDArray, weights: Curve) -> float:
    """Return the AUPIMO of one anomalous image from its map and mask (H,W) and the weights of codes; NaN if normal."""
    inside = codes[mask != 0]
    return float(weights[inside].mean()) if inside.size else np.nan

"""The autoregressive density of a code in (0,1)^d: masked full connections (Abati et al. 2019, section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = 8


class MaskedConnection(nn.Module):
    """A full connection that never looks ahead: (N, d·channels_in) to (N, d·channels_out).

    Features are ordered by position, then channel. The weight from (position i, channel k) to (position j, channel l)
    is kept iff i < j (`strict`, the paper's type A) or i ≤ j (type B); the bias is never masked.

    Output positions are computed in blocks. What lies behind a block's positions would be masked as a whole, so those
    weights do not exist; the mask works inside the block. This halves memory and time and changes no value.
    """

    def __init__(self, positions: int, channels_in: int, channels_out: int, *, strict: bool) -> None:
        super().__init__()
        self.channels_in = channels_in
        edges = torch.linspace(0, positions, min(BLOCKS, positions) + 1).round().int().tolist()
        self.spans = list(pairwise(edges))
        bound = 1 / math.sqrt(positions * channels_in)
        self.past, self.present = nn.ParameterList(), nn.ParameterList()
        for number, (start, stop) in enumerate(self.spans):
            rows, columns = (stop - start) * channels_out, (stop - start) * channels_in
            if start:
                self.past.append(torch.empty(rows, start * channels_in).uniform_(-bound, bound))
            self.present.append(torch.empty(rows, columns).uniform_(-bound, bound))
            allowed = torch.ones(stop - start, stop - start).tril(-1 if strict else 0)
            mask = allowed.repeat_interleave(channels_out, 0).repeat_interleave(channels_in, 1)
            self.register_buffer(f"mask{number}", mask, persistent=False)
        self.bias = nn.Parameter(torch.empty(positions * channels_out).uniform_(-bound, bound))

    def forward(self, features: Tensor) -> Tensor:
        """Return the connection's output, without activation."""
        parts = []
        for number, (start, stop) in enumerate(self.spans):
            here = features[:, start * self.channels_in : stop * self.channels_in]
            part = F.linear(here, self.present[number] * self.get_buffer(f"mask{number}"))
            if start:
                part = part + F.linear(features[:, : start * self.channels_in], self.past[number - 1])
            parts.append(part)
        return torch.cat(parts, dim=1) + self.bias


class AutoregressiveEstimator(nn.Module):
    """Predicts for every element of a code a distribution over bins from the elements before it.

    Args:
        length: d, elements of the code.
        widths: channels of the hidden connections.
        bins: parts that (0,1) is quantised into.
    """

    def __init__(self, length: int = 64, widths: Sequence[int] = (32, 32, 32, 32), bins: int = 100) -> None:
        super().__init__()
        self.length, self.bins = length, bins
        channels = [1, *widths, bins]
        layers: list[nn.Module] = []
        for number, (source, target) in enumerate(pairwise(channels)):
            layers += [MaskedConnection(length, source, target, strict=number == 0), nn.LeakyReLU(0.01)]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes (N,d) to logits (N,d,bins); those at position j depend on elements before j alone."""
        logits: Tensor = self.layers(codes)
        return logits.view(len(codes), self.length, self.bins)


def surprisal(codes: Tensor, logits: Tensor) -> Tensor:
    """Return -Σ_i log p(bin of z_i) of codes (N,d) under logits (N,d,bins), as (N,) in nats.

    The bin min(floor(bins·z), bins - 1) carries no gradient. Nothing is clipped: the reference keeps probabilities
    above the epsilon of float64, 36 nats an element, where float32's would end at 15.9.
    """
    bins = logits.shape[-1]
    target = (codes.detach().float() * bins).long().clamp_(0, bins - 1)
    log_probability = F.log_softmax(logits.float(), dim=-1).gather(-1, target[..., None])
    return -log_probability.flatten(1).sum(1)

"""The terms of CAVGA's objective, one function per equation, all in float32.

    unsupervised        L_final = w_r L + w_adv L_adv + w_ae L_ae                     (w = 1, 1, 0.01)
    weakly supervised   L_final = w_r L + w_adv L_adv + w_c L_bce + w_cga L_cga       (w = 1, 1, 0.001, 0.01)

with L = L_R(x, x̂) + KL(q(z|x) || p(z)). x are images, x̂ reconstructions, A attention maps, N the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

NORMAL, ANOMALOUS = 0, 1


@dataclass(frozen=True)
class Weights:
    """The paper's weights of the terms."""

    r: float = 1.0
    adv: float = 1.0
    ae: float = 0.01
    c: float = 0.001
    cga: float = 0.01


def reconstruction(logits: Tensor, images: Tensor, form: str = "bce") -> Tensor:
    """L_R per image (N,), summed over its pixels: -Σ x log x̂ + (1-x) log(1-x̂), with x̂ = sigmoid(logits).

    The form is not printed; cross-entropy fits the decoder's final sigmoid. Alternatives: "l2" and "l1".
    """
    return RECONSTRUCTIONS[form](logits.float(), images.float()).flatten(1).sum(1)


RECONSTRUCTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "bce": partial(F.binary_cross_entropy_with_logits, reduction="none"),
    "l2": lambda logits, images: (torch.sigmoid(logits) - images).square(),
    "l1": lambda logits, images: (torch.sigmoid(logits) - images).abs(),
}


def kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, 1)) per image (N,), summed over z: -½ Σ 1 + log σ² - μ² - σ²."""
    mu, logvar = mu.float(), logvar.float()
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).flatten(1).sum(1)


def adversarial(real: Tensor, fake: Tensor) -> Tensor:
    """L_adv = -(1/N) Σ log D(x) + log(1 - D(x̂)), which the discriminator minimises.

    `real` and `fake` are D's maps before its sigmoid. D ends in a map of probabilities (8×8×512), so log D is
    the mean of its entries' logarithms. log sigmoid(t) = -softplus(-t), which neither over- nor underflows.
    """
    return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()


def fool(fake: Tensor, game: str = "non_saturating") -> Tensor:
    """What encoder and decoder minimise in the game over L_adv.

    "non_saturating": -(1/N) Σ log D(x̂), whose gradient does not vanish while D wins (Goodfellow et al. 2014).
    "minimax": (1/N) Σ log(1 - D(x̂)), the second term of L_adv with its sign turned.
    """
    if game == "minimax":
        return -F.softplus(fake.float()).mean()
    return F.softplus(-fake.float()).mean()


def attention_expansion(attention: Tensor) -> Tensor:
    """L_ae = (1/N) Σ (1/|A|) Σ_ij (1 - A_ij), for maps A (N,h,w) of normal images."""
    return (1 - attention).flatten(1).mean(1).mean()


@torch.no_grad()
def describe(attention: Tensor) -> dict[str, Tensor]:
    """Return what the log says of maps A (N,h,w) beside their loss.

    "above_half": the share of cells above 0.5. "lowest_cells": in how many different cells the maps of this batch have
    their minimum, as a share of the most that there could be; near 1/N it is the same place whatever the image shows.
    """
    flat = attention.flatten(1)
    places = flat.argmin(1).unique().numel()
    spread = torch.tensor(places / min(flat.shape), device=flat.device)
    return {"above_half": (flat > 0.5).float().mean(), "lowest_cells": spread}


def classification(logits: Tensor, labels: Tensor) -> Tensor:
    """L_bce of the classifier's two outputs (N,2) and the images' labels (N,)."""
    return F.cross_entropy(logits.float(), labels)


def complementary_guidance(
    attention_normal: Tensor, attention_anomalous: Tensor, logits: Tensor, labels: Tensor
) -> Tensor:
    """L_cga = (1/N) Σ 1(p = y = c_n) (1/|A^cn|) Σ_ij (1 - A^cn_ij + A^ca_ij), for maps (N,h,w) per class."""
    counted = (logits.argmax(1) == NORMAL) & (labels == NORMAL)
    per_image = (1 - attention_normal + attention_anomalous).flatten(1).mean(1)
    return (counted * per_image).mean()

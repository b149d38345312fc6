"""What each of the two players minimises: the terms of `losses` on one batch, with their weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cavga import losses
from cavga.attention import Attention
from cavga.losses import ANOMALOUS, NORMAL
from cavga.model import Code, Model
from harness.training.loop import Batch, Losses, Run


@dataclass
class Objective:
    """L_final and L_adv of one model.

    Attributes:
        expansion: whether L_ae is trained with; guidance: L_cga. Where A has one cell both say nothing.
        divisors: of L_R and of KL, which `losses` sums over an image.
    """

    model: Model
    attention: Attention
    weights: losses.Weights
    expansion: bool
    guidance: bool
    reconstruction: str
    game: str
    divisors: tuple[int, int]

    def final_loss(self, run: Run, batch: Batch) -> Losses:
        """L_final and its terms: what encoder, latent heads, decoder and classifier minimise."""
        with run.autocast():
            code = self.model.encode(batch.images)
            logits = self.model.decode_logits(code.z)
            fake = self.model.decoder.sigmoid(logits)
            verdict = self.model.discriminator.logits(fake)
        batch.shared["fake"] = fake.detach()
        w, terms = self.weights, dict[str, Tensor]()
        per_image, per_latent = self.divisors
        terms["L_R"] = losses.reconstruction(logits, batch.images, self.reconstruction).mean() / per_image
        terms["KL"] = losses.kl(code.mu, code.logvar).mean() / per_latent
        terms["L_adv"] = losses.fool(verdict, self.game)
        total = w.r * (terms["L_R"] + terms["KL"]) + w.adv * terms["L_adv"]
        if self.model.classifier is None:
            terms |= self._expansion_term(code)
            total = total + w.ae * terms.get("L_ae", 0.0)
        else:
            terms |= self._class_terms(run, code, batch.labels)
            total = total + w.c * terms["L_bce"] + w.cga * terms.get("L_cga", 0.0)
        return {"loss": total, **terms}

    def _expansion_term(self, code: Code) -> dict[str, Tensor]:
        """Return L_ae, if it is trained with, and what A looks like."""
        raw = self.attention.raw_of_latent(code, self.model.latent.read_out, create_graph=self.expansion)
        attention = self.attention.normalise(raw)
        terms = {"L_ae": losses.attention_expansion(attention)} if self.expansion else {}
        return terms | losses.describe(attention)

    def _class_terms(self, run: Run, code: Code, labels: Tensor) -> dict[str, Tensor]:
        assert self.model.classifier is not None
        with run.autocast():
            scores = self.model.classifier.logits(code.z)
        terms = {"L_bce": losses.classification(scores, labels)}
        normal, anomalous = (
            self.attention.normalise(self.attention.raw_of_score(scores[:, c], code, create_graph=self.guidance))
            for c in (NORMAL, ANOMALOUS)
        )
        if self.guidance:
            terms["L_cga"] = losses.complementary_guidance(normal, anomalous, scores, labels)
        return terms | losses.describe(normal)

    def discriminator_loss(self, run: Run, batch: Batch) -> Losses:
        """L_adv, what the discriminator minimises."""
        with run.autocast():
            if "fake" not in batch.shared:
                with torch.no_grad():
                    batch.shared["fake"] = self.model.decode(self.model.encode(batch.images).z)
            real = self.model.discriminator.logits(batch.images)
            fake = self.model.discriminator.logits(batch.shared["fake"])
        loss = losses.adversarial(real, fake)
        return {"loss": loss, "L_D": loss}

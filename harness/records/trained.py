"""What a record says of the training behind it. Methods without a budget fit without a step of training."""

from __future__ import annotations

from harness.records.record import Record


def images_seen(record: Record) -> int | None:
    """Return how many training images were seen; None for a method that does not train."""
    training = record.training
    if training.get("images_seen"):
        return int(training["images_seen"])
    if not training.get("epochs"):
        return None
    return int(training["epochs"] * (training.get("samples_per_epoch") or record.counts.train))


def training_text(record: Record) -> str:
    """Return the training in a few words."""
    seen, training = images_seen(record), record.training
    if seen is None:
        return f"none: fitted to {record.counts.train} images without a step of training"
    epochs = f" in {training['epochs']:g} epochs" if not training.get("images_seen") else ""
    rest = [f"batches of {training['batch_size']}"] if "batch_size" in training else []
    rest += [f"learning rate {training['learning_rate']:g}"] if "learning_rate" in training else []
    return ", ".join([f"{seen:,} images seen{epochs}", *rest])

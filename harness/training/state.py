"""Saving and loading what a detector learnt, as safetensors: bytes that depend on the tensors alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn


def save_state(module: nn.Module, path: Path) -> None:
    """Write `module`'s state dict to `path`, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in module.state_dict().items()}
    save_file(tensors, temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def load_state(module: nn.Module, state: Mapping[str, Tensor] | Path) -> None:
    """Load a state dict (or the file that holds one) into `module`.

    Buffers may have another shape than in the fresh module: methods such as clustering know theirs only after `fit`.
    Raises RuntimeError when names differ or a parameter has another shape.
    """
    tensors = load_file(state) if isinstance(state, Path) else dict(state)
    for name, buffer in module.named_buffers():
        if name in tensors and tensors[name].shape != buffer.shape:
            owner, _, leaf = name.rpartition(".")
            fresh = tensors[name].to(buffer.device, copy=True)
            module.get_submodule(owner).register_buffer(leaf, fresh)
    module.load_state_dict(tensors)

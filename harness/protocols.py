"""Protocol files checked name by name: what a protocol says of an unknown method or dataset would never be read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.cell import Config
from harness.config import protocol_files, read_yaml
from harness.dataset import Dataset
from harness.errors import ConfigError
from harness.nearest import hint

_NONE: Mapping[str, str] = {}


def check_files(config: Config) -> None:
    """Raise ConfigError when a file of `extra_protocols` is missing, or called as another protocol is."""
    own = [Path(name) for name in config.extra_protocols]
    for path in own:
        if not path.is_file():
            raise ConfigError(f"{path}: no such file; correct extra_protocols in config/config.yaml")
    taken = protocol_files(replace(config, extra_protocols=()))
    for path in own:
        other = taken.setdefault(path.stem, path)
        if other.resolve() != path.resolve():
            raise ConfigError(
                f"{path}: there is a protocol '{path.stem}' already ({other}); rename the file and its id"
            )


def check_protocol(name: str, config: Config, methods: Collection[str], datasets: Mapping[str, Dataset]) -> None:
    """Raise ConfigError for an unknown name in the file of a protocol or in those that it extends.

    A name without any file is left to `load_protocol`. Values are the schema's matter.
    """
    check_files(config)
    chain = _chain(name, protocol_files(config))
    prepared = list(dict.fromkeys(d for _, content in chain for d in _mapping(content, "datasets")))
    stand_ins = {str(used): paper for _, content in chain for paper, used in _mapping(content, "stand_ins").items()}
    categories = list(dict.fromkeys(c for entry in datasets.values() for c in entry.categories))
    for path, content in chain:
        _check_id(path, content)
        for key, used in _mapping(content, "stand_ins").items():
            _check(path, "stand_ins", "dataset", key, prepared)
            _check(path, f"stand_ins.{key}", "dataset", used, datasets)
        for dataset in _mapping(content, "datasets"):
            _check(path, "datasets", "dataset", dataset, datasets)
        for key, what, known in (("methods", "method", methods), ("categories", "category", categories)):
            for name in _mapping(content, "only").get(key) or ():
                _check(path, f"only.{key}", what, name, known)
        for method, override in _mapping(content, "methods").items():
            _check(path, "methods", "method", method, methods)
            for dataset in _mapping(override, "by_dataset"):
                _check(path, f"methods.{method}.by_dataset", "dataset", dataset, prepared, stand_ins)
            for key, known in (("by_kind", ["texture", "object"]), ("by_category", categories)):
                for place in _mapping(override, key):
                    _check(path, f"methods.{method}.{key}", key.removeprefix("by_"), place, known)


def _chain(name: str, files: Mapping[str, Path]) -> list[tuple[Path, Mapping[str, Any]]]:
    """Return the files of a protocol and of what it extends with their contents. Raises ConfigError for a circle."""
    chain: list[tuple[Path, Mapping[str, Any]]] = []
    seen: list[str] = []
    while name in files:
        path, content = files[name], read_yaml(files[name])
        if not isinstance(content, Mapping):
            raise ConfigError(f"{path}: holds no keys; config/examples shows what a protocol looks like")
        chain.append((path, content))
        if "extends" not in content:
            break
        seen.append(name)
        name = str(content["extends"])
        _check(path, "extends", "protocol", name, files)
        if name in seen:
            raise ConfigError(f"{path}: extends: '{name}' extends '{path.stem}' in turn; name another, such as lite")
    return chain


def _check_id(path: Path, content: Mapping[str, Any]) -> None:
    if "id" not in content:
        raise ConfigError(f"{path}: no id; write id: {path.stem}, the file's name")
    if content["id"] != path.stem:
        raise ConfigError(f"{path}: id is '{content['id']}' but must equal the file's name; write id: {path.stem}")


def _check(
    path: Path, where: str, what: str, name: object, known: Collection[str], stand_ins: Mapping[str, str] = _NONE
) -> None:
    if name in known:
        return
    instead = stand_ins.get(str(name))
    remedy = f"it stands in for '{instead}'; write that" if instead else hint(name, map(str, known))
    raise ConfigError(f"{path}: {where}: unknown {what} '{name}'; {remedy}")


def _mapping(content: Any, key: str) -> Mapping[str, Any]:
    """Return a key's mapping; an empty one where the key is missing or, for the schema to say, something else."""
    found = content.get(key) if isinstance(content, Mapping) else None
    return found if isinstance(found, Mapping) else {}

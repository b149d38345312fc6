"""Configuration: YAML files with closed schemas; unknown keys are errors that name the file, the key and the remedy."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from harness.cell import Config, Method, Protocol
from harness.dataset import Dataset
from harness.errors import ConfigError
from harness.limits import limited
from harness.nearest import hint
from harness.paths import ROOT, given


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C loader is not always there
    """Refuses a key that is there twice or is no text: YAML itself would keep the last, or make 01 a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping whose keys have been checked."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.tag != "tag:yaml.org,2002:str":
                quoted = f'write "{key.value}" in quotes' if isinstance(key, yaml.ScalarNode) else "keys are names"
                raise yaml.MarkedYAMLError(None, None, f"a key that is no text; {quoted}", key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(None, None, f"the key '{key.value}' twice; remove one", key.start_mark)
            seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def read_yaml(path: Path) -> Any:
    """Parse one YAML file. Raises ConfigError, in one line, when it is missing or malformed."""
    try:
        return yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_Loader)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: a folder; name the YAML file in it") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the file and its rights") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8; save it in that encoding") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        context = f"{error.context}: " if error.context else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {' '.join(f'{context}{error.problem}'.split())}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None


@cache
def schema(name: str) -> dict[str, Any]:
    """Return the schema `workflow/schemas/<name>.schema.yaml`."""
    content: dict[str, Any] = read_yaml(ROOT / "workflow" / "schemas" / f"{name}.schema.yaml")
    return content


def validate(content: Any, name: str, source: object) -> None:
    """Check `content` against a schema, or against one definition of it ("methods#override").

    Raises ConfigError with one line that names `source` and the key.
    """
    file, _, definition = name.partition("#")
    rules = {"$ref": f"#/$defs/{definition}", "$defs": schema(file)["$defs"]} if definition else schema(file)
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(rules).iter_errors(content))
    if error is None:
        return
    while error.context:  # of the alternatives, what is wrong with the one that was meant
        error = next((one for one in error.context if one.validator != "type"), error.context[0])
    where = ".".join(map(str, error.absolute_path))
    raise ConfigError(f"{source}: {where + ': ' if where else ''}{_explain(error)}")


def _explain(error: jsonschema.ValidationError) -> str:
    known = list(error.schema.get("properties", {})) if isinstance(error.schema, Mapping) else []
    if error.validator == "additionalProperties" and known and isinstance(error.instance, Mapping):
        unknown = next(key for key in error.instance if key not in known)
        near = difflib.get_close_matches(str(unknown), known, 1)
        remedy = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
        return f"unknown key '{unknown}'; {remedy}"
    if error.validator == "enum" and isinstance(error.schema, Mapping):
        return f"{error.instance!r} is not known; {hint(error.instance, map(str, error.schema['enum']))}"
    return error.message if len(error.message) < 200 else error.message[:200] + " …"


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on it; mappings are merged key by key, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def load_config(overrides: Mapping[str, Any] | None = None) -> Config:
    """Return config/config.yaml, overlaid by the environment's CAVGA_CONFIG (JSON) and the argument.

    Relative paths mean the current folder, else the repository. CAVGA_DATA replaces the file's data_root, which
    Snakemake's configuration, the argument, repeats.
    """
    path = ROOT / "config" / "config.yaml"
    file = _mapping(read_yaml(path), path)
    content = file | _from_environment() | dict(overrides or {})
    if os.environ.get("CAVGA_DATA") and content.get("data_root") in (None, file.get("data_root")):
        content["data_root"] = os.environ["CAVGA_DATA"]
    if isinstance(content.get("seeds"), list):  # Snakemake hands the parts of a list on as text
        content["seeds"] = [int(seed) if str(seed).isdecimal() else seed for seed in content["seeds"]]
    validate(file, "config", path)
    validate(content, "config", "--config or CAVGA_CONFIG")
    for name in ("extra_protocols", "extra_datasets", "extra_methods", "extra_tables"):
        content[name] = [str(given(file)) for file in content[name]]
    if content["data_root"] is not None:
        content["data_root"] = str(given(content["data_root"]))
    config = Config.read(content)
    if config.data_root is not None and not Path(config.data_root).is_dir():
        raise ConfigError(f"data_root '{config.data_root}': no such folder; set CAVGA_DATA or data_root in {path.name}")
    return config


def _from_environment() -> dict[str, Any]:
    """Return what CAVGA_CONFIG says. Raises ConfigError unless it is a JSON object."""
    try:
        return _mapping(json.loads(os.environ.get("CAVGA_CONFIG", "{}")), "CAVGA_CONFIG")
    except ValueError as error:
        raise ConfigError(f"CAVGA_CONFIG: not valid JSON ({error}); write it as in '{{\"offline\": true}}'") from None


def _mapping(content: Any, source: object) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ConfigError(f"{source}: holds no keys, but {type(content).__name__}; write key: value")
    return content


def load_methods(config: Config | None = None) -> dict[str, Method]:
    """Return config/methods.yaml and, given a configuration, the user's own methods: one entry per method id."""
    methods: dict[str, dict[str, Any]] = {}
    own = [Path(path) for path in (config.extra_methods if config else ())]
    for path in [ROOT / "config" / "methods.yaml", ROOT / "config" / "readings.yaml", *own]:
        content = _mapping(read_yaml(path), path)
        if taken := next((name for name in content if name in methods), None):
            raise ConfigError(f"{path}: there is a method '{taken}' already; rename yours")
        content = {name: _whole(name, entry, methods | content, path) for name, entry in content.items()}
        validate(content, "methods", path)
        methods |= content
    return {name: Method.read(entry, id=name) for name, entry in methods.items()}


def _whole(name: str, entry: Any, known: Mapping[str, Any], path: Path) -> Any:
    """Return a reading's entry laid on that of its method, whose title it adds to; others as they are."""
    if not isinstance(entry, Mapping) or "reading_of" not in entry:
        return entry
    base = known.get(entry["reading_of"])
    if not isinstance(base, Mapping) or "reading_of" in base:
        methods = [other for other, about in known.items() if "reading_of" not in about]
        raise ConfigError(
            f"{path}: {name}: reading_of: no method '{entry['reading_of']}'; {hint(entry['reading_of'], methods)}"
        )
    own = entry.get("title", name)
    titles = {"title": f"{base['title']}, {own}", "latex": f"{base['latex']}, {entry.get('latex', own)}"}
    return merge(base, entry) | titles


def load_datasets(config: Config) -> dict[str, Dataset]:
    """Return config/datasets.yaml and the user's own datasets: one entry per dataset id."""
    datasets: dict[str, Dataset] = {}
    for path in [ROOT / "config" / "datasets.yaml", *map(Path, config.extra_datasets)]:
        content = read_yaml(path)
        validate(content, "datasets", path)
        datasets |= {name: Dataset.read(entry, id=name) for name, entry in content.items()}
    return datasets


def protocol_files(config: Config) -> dict[str, Path]:
    """Return the files of all protocols by id (the file's stem)."""
    files = [*sorted((ROOT / "config" / "protocols").glob("*.yaml")), *map(Path, config.extra_protocols)]
    return {path.stem: path for path in files}


def load_protocol(name: str, config: Config) -> Protocol:
    """Return one protocol with what it extends merged in. Raises ConfigError for an unknown name."""
    return Protocol.read(_merged_protocol(name, protocol_files(config)))


def _merged_protocol(name: str, files: Mapping[str, Path]) -> dict[str, Any]:
    if name not in files:
        raise ConfigError(f"unknown protocol '{name}'; known: {', '.join(files)}")
    content: dict[str, Any] = read_yaml(files[name])
    if "extends" in content:
        base = _merged_protocol(content["extends"], files)
        base["methods"] = limited(base["methods"], content.get("limits") or {})
        if "seeds" in content:
            base["methods"] = {method: _unseeded(override) for method, override in base["methods"].items()}
        content = merge(base, content)
    validate(content, "protocol", files[name])
    for method, override in content["methods"].items():
        validate(override, "methods#in_protocol", f"{files[name]}: methods.{method}")
    return content


def _unseeded(override: Mapping[str, Any]) -> dict[str, Any]:
    """Return a method's override without its own seeds: who extends a protocol and names seeds means all methods."""
    inner = {name: _unseeded(layer) for name, layer in override.get("by_dataset", {}).items()}
    return {key: value for key, value in override.items() if key != "seeds"} | ({"by_dataset": inner} if inner else {})

"""Typed configuration: dataclass <-> YAML <-> `--set a.b=c`. Unknown keys are errors, not ignored."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from harness.errors import ConfigError, near_misses

T = TypeVar("T")


Line = int | str
"""Where a key was given: the line of its file, or the option as it was typed."""


def build(
    cls: type[T], data: Mapping[str, Any], *, where: str = "configuration", lines: Mapping[str, Line] | None = None
) -> T:
    """`data` as an instance of the dataclass `cls`.

    Args:
        cls: dataclass, possibly nested.
        data: plain values as YAML or JSON gives them.
        where: file or option that the data came from, for messages.
        lines: where each dotted key was given, for messages.

    Raises:
        ConfigError: an unknown key (allowed keys and near misses are listed) or a value of a wrong type.
    """
    _reject_unknown(cls, data, where, lines or {}, "")
    try:
        return msgspec.convert(data, cls, strict=True)
    except msgspec.ValidationError as error:
        message = str(error)
        key = message.rsplit("`$.", 1)[-1].rstrip("`") if "`$." in message else ""
        raise ConfigError(
            f"{_place(where, lines or {}, key)}: {message.split(' - at')[0]}" + (f" for {key!r}." if key else ".")
        ) from None


def _reject_unknown(cls: type, data: Any, where: str, lines: Mapping[str, Line], prefix: str) -> None:
    if not isinstance(data, Mapping):
        raise ConfigError(f"{_place(where, lines, prefix)}: expected keys and values, got {type(data).__name__}.")
    hints = typing.get_type_hints(cls)
    allowed = [f.name for f in dataclasses.fields(cls)]
    for key, value in data.items():
        name = f"{prefix}{key}"
        if key not in allowed:
            close = near_misses(str(key), allowed)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ConfigError(
                f"{_place(where, lines, name)}: unknown key {name!r}.{hint} Allowed: {', '.join(allowed)}."
            )
        nested = _dataclass_of(hints[key])
        if nested is not None and value is not None:
            _reject_unknown(nested, value, where, lines, f"{name}.")


def _dataclass_of(hint: Any) -> type | None:
    for candidate in (hint, *typing.get_args(hint)):
        if isinstance(candidate, type) and dataclasses.is_dataclass(candidate):
            return candidate
    return None


def _place(where: str, lines: Mapping[str, Line], key: str) -> str:
    key = key.rstrip(".")
    while key and key not in lines:
        key = key.rpartition(".")[0]
    if not key:
        return where
    line = lines[key]
    return line if isinstance(line, str) else f"{where}, line {line}"


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[str, Line]]:
    """The mapping in a YAML file and the 1-based line of each dotted key.

    Raises:
        ConfigError: no such file, not valid YAML, or not a mapping.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        data = load_yaml(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if data is None:
        return {}, {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected keys and values at the top, got {type(data).__name__}.")
    lines: dict[str, Line] = {}

    def walk(mapping: Any, prefix: str) -> None:
        for key, value in mapping.value:
            lines[f"{prefix}{key.value}"] = key.start_mark.line + 1
            if isinstance(value, yaml.MappingNode):
                walk(value, f"{prefix}{key.value}.")

    walk(node, "")
    return data, lines


def load_yaml(text: str) -> Any:
    """Plain values in YAML text, read as meant: `1e-3` is a number, `off`, `on`, `yes` and `no` are words.

    YAML 1.1, which the library follows, has it the other way round; YAML 1.2 as here.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    boolean = "tag:yaml.org,2002:bool"
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if tag != boolean]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver(boolean, re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
    number = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    return yaml.load(text, Loader=Loader)


def apply_settings(data: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """`data` with every `a.b=value` of `settings` put in; values are read as YAML (`3`, `true`, `[1, 2]`, text).

    Raises:
        ConfigError: a setting without `=`, or a path through something that holds no keys.
    """
    import yaml

    result = _deep_copy(data)
    for setting in settings:
        path, separator, text = setting.partition("=")
        if not separator or not path:
            raise ConfigError(f"--set {setting!r}: expected KEY=VALUE, e.g. --set seeds=[0,1].")
        try:
            value = load_yaml(text)
        except yaml.YAMLError:
            raise ConfigError(f"--set {setting!r}: {text!r} is not a YAML value.") from None
        *parents, last = path.split(".")
        target: dict[str, Any] = result
        for part in parents:
            inner = target.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"--set {setting!r}: {part!r} holds {inner!r}, which has no keys.")
            target = inner
        target[last] = value
    return result


def set_by_option(
    data: dict[str, Any], lines: Mapping[str, Line], settings: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Line]]:
    """What a file holds, changed by `--set`: like `apply_settings`, and messages then name the option, not the file.

    Raises:
        ConfigError: see `apply_settings`.
    """
    places = dict(lines)
    for setting in settings:
        key = setting.partition("=")[0]
        places = {k: v for k, v in places.items() if not k.startswith(f"{key}.")} | {key: f"--set {setting}"}
    return apply_settings(data, settings), places


def _deep_copy(data: dict[str, Any]) -> dict[str, Any]:
    return {k: _deep_copy(v) if isinstance(v, dict) else v for k, v in data.items()}


def to_plain(value: Any) -> Any:
    """`value` (dataclasses, tuples, paths) as JSON values."""
    return msgspec.to_builtins(value, enc_hook=str)

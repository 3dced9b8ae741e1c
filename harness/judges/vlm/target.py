"""The argument of a server judge, `MODEL@URL,key=value,...`, read and checked."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from harness.config import apply_settings, build
from harness.errors import ConfigError
from harness.judges.vlm.codec import Codec, CodecName
from harness.judges.vlm.messages import Order
from harness.judges.vlm.presets import FormRule, Preset, preset_for, with_price

Reading = Literal["auto", "token_ids", "top_k", "official_code"]

EXAMPLE = "openai:Qwen/Qwen3-VL-30B-A3B-Instruct@http://127.0.0.1:8000/v1,concurrency=64"

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What may follow the server's address. None: as the model's preset has it."""

    key_env: str | None = None
    """Name of the environment variable that holds the key."""
    preset: str = ""
    """A shipped preset, or a YAML file with one preset's fields; empty takes the one that matches the model."""
    concurrency: int | None = None
    """Most requests under way; fewer while the server is overloaded."""
    timeout_s: float | None = None
    """Of one try."""
    attempts: int = 5
    """Tries of one request; only transport faults are tried again."""
    backoff_s: float = 0.5
    """Longest wait after the first fault; it doubles with each further one up to 30 s."""
    asks: int = 3
    """Times that a written reply is asked for while it cannot be parsed."""
    p_yes: Reading = "auto"
    """`token_ids` (exact, vLLM), `top_k`, `official_code` (the published DVReward code: top 5, JPEG 75, top_p 0.9), or
    `auto`: token ids where the server knows them."""
    top_k: int = 20
    """Log-probabilities asked for where they cannot be had by token id."""
    order: Order | None = None
    codec: CodecName | None = None
    quality: int | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    """Of written replies."""
    price: str = ""
    """`INPUT/OUTPUT` or `INPUT/CACHED/OUTPUT`, dollars per million tokens."""
    calls_per_s: float | None = None
    """The server's rate as measured; only `eval --dry-run` uses it, for hours."""
    tokenizer: str = ""
    """Folder or file of the model's tokenizer; only `eval --dry-run` uses it, to count instead of estimating."""
    revision: str = ""
    """Of the weights, as a label in the fingerprint."""
    unverified: bool = False
    """Accept a judge that fails the semantic self-test; the fingerprint says so."""

    def __post_init__(self) -> None:
        positive = ("concurrency", "timeout_s", "attempts", "asks", "top_k", "max_tokens", "calls_per_s")
        for name in positive:
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"{name}: expected a positive number, got {value}.")
        if self.backoff_s < 0:
            raise ConfigError(f"backoff_s: expected 0 or more, got {self.backoff_s}.")
        if self.key_env and not _VARIABLE.fullmatch(self.key_env):
            # Whatever it is, it may be a secret: it is not repeated.
            raise ConfigError(
                "key_env: expected the name of an environment variable (capital letters, digits and _), never the key "
                "itself. Put the key into a variable, e.g. key_env=JUDGE_KEY."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A model on a server, and how to ask it."""

    model: str
    base_url: str
    settings: ServerSettings
    preset_name: str
    preset: Preset

    @property
    def concurrency(self) -> int:
        """Most requests under way."""
        return self.settings.concurrency or self.preset.concurrency

    @property
    def timeout_s(self) -> float:
        """Of one try."""
        return self.settings.timeout_s or self.preset.timeout_s

    @property
    def form_rule(self) -> FormRule:
        """The user's own wishes about the form of a request."""
        s = self.settings
        codec, quality = s.codec, s.quality
        if s.p_yes == "official_code" and codec is None:
            codec, quality = "jpeg", 75 if quality is None else quality
        return FormRule(order=s.order, codec=codec, quality=quality, temperature=s.temperature, max_tokens=s.max_tokens)

    def key(self) -> str | None:
        """The key from its variable; None where no variable is named.

        Raises:
            ConfigError: the variable is not set.
        """
        name = self.preset.key_env if self.settings.key_env is None else self.settings.key_env
        if not name:
            return None
        value = os.environ.get(name, "").strip()
        if not value:
            raise ConfigError(
                f"Judge {self.model}: the environment variable {name} is not set. Put the server's key into it, or "
                "name another one with key_env=NAME (key_env= for a server without keys)."
            )
        return value


def parse_target(argument: str, *, judge: str = "openai") -> Target:
    """`MODEL@URL,key=value,...` as a target; the address may be absent where the model's preset has one.

    Raises:
        ConfigError: what is wrong, with an example; never with a value that may be a secret.
    """
    head, *rest_of_it = [part.strip() for part in argument.split(",")]
    settings = [part for part in rest_of_it if part]
    where = f"judge {judge}"
    model, separator, rest = head.rpartition("@http")
    if not separator:
        model, rest = head, ""
    if not model or "=" in model or model.startswith("http"):
        raise ConfigError(f"{where}: expected MODEL@URL, then settings after commas, e.g. {EXAMPLE}.")
    given = build(ServerSettings, _plain(settings, where), where=where)
    name, preset = preset_for(model, given.preset)
    if given.price:
        preset = with_price(preset, given.price)
    base_url = _checked_url(f"http{rest}", where) if separator else preset.base_url
    if not base_url:
        raise ConfigError(
            f"{where}: no server for model {model!r}. Add its address, e.g. {judge}:{model}@http://127.0.0.1:8000/v1."
        )
    target = Target(model=model, base_url=base_url, settings=given, preset_name=name, preset=preset)
    # A codec that cannot be is told now, not at the first image.
    rule = target.form_rule
    Codec(name=rule.codec or preset.codec, quality=rule.quality)
    return target


def _plain(settings: Sequence[str], where: str) -> dict[str, object]:
    """Settings as a mapping; an empty value is an empty text."""
    bare = next((i for i, s in enumerate(settings) if "=" not in s), None)
    if bare is not None:
        raise ConfigError(f"{where}: setting {bare + 1} after the model has no '='. Expected e.g. {EXAMPLE}.")
    pairs = [s.partition("=") for s in settings]
    names = [key.strip() for key, _, _ in pairs]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise ConfigError(f"{where}: {twice!r} is given twice.")
    texts = {n: v for n, (_, _, v) in zip(names, pairs, strict=True) if n in _TEXTS or not v}
    return {**apply_settings({}, [s for s, n in zip(settings, names, strict=True) if n not in texts]), **texts}


_TEXTS = ("key_env", "preset", "price", "tokenizer", "revision")
"""Settings that are text whatever they look like (`revision=1.0`)."""


def _checked_url(url: str, where: str) -> str:
    parts = urlsplit(url)
    try:
        parts.port  # noqa: B018 (raises on a port that is no number)
    except ValueError:
        raise ConfigError(f"{where}: the port of the server's address is not a number.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{where}: {url!r} is not an address. Expected http://HOST:PORT/v1.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            f"{where}: the server's address is recorded, so it must hold no user, key or query. Use key_env=NAME."
        )
    if parts.path in ("", "/"):
        raise ConfigError(f"{where}: the server's address lacks its path, usually /v1: {url.rstrip('/')}/v1.")
    return url.rstrip("/")

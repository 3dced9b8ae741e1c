"""How known vision-language judges are asked, as data (`presets.yaml`), and what an answer costs.

A preset is found by the model's name; an unknown model gets `default`. `preset=FILE.yaml` of a judge reads one preset
with the same fields from a file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from harness.config import build, load_yaml, read_yaml
from harness.errors import ConfigError, unknown_name
from harness.judges.vlm.codec import Codec, CodecName
from harness.judges.vlm.messages import Order

FILE = Path(__file__).with_name("presets.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTokens:
    """How many tokens an image takes. `patches`: cells of a grid after the resize; `tiles`: 512 px tiles."""

    rule: Literal["patches", "tiles"] = "patches"
    cell_px: int = 32
    """Side of the square that becomes one token (patch size x merge size)."""
    min_pixels: int = 65536
    max_pixels: int = 16777216
    extra: int = 2
    """Tokens around the image."""
    base: int = 85
    per_tile: int = 170

    def count(self, width: int, height: int) -> int:
        """Tokens of an image of this size in pixels.

        Source: `smart_resize` of the Qwen2-VL image processor (patches); OpenAI's guide to vision costs (tiles: fit
        into 2048 px, then the short side to 768 px, then 512 px tiles).
        """
        if self.rule == "patches":
            rows, columns = _cells(width, height, self.cell_px, self.min_pixels, self.max_pixels)
            return rows * columns + self.extra
        scale = min(1.0, 2048 / max(width, height))
        scale *= min(1.0, 768 / (min(width, height) * scale))
        # Rounded first: 768.0000001 px are not a further tile.
        tiles = math.ceil(round(width * scale, 3) / 512) * math.ceil(round(height * scale, 3) / 512)
        return self.base + self.per_tile * tiles


def _cells(width: int, height: int, cell: int, least: int, most: int) -> tuple[int, int]:
    """Rows and columns of tokens after the resize to whole cells within the pixel limits."""
    rows, columns = max(1, round(height / cell)), max(1, round(width / cell))
    area = rows * columns * cell * cell
    if area > most:
        shrink = math.sqrt(width * height / most)
        rows, columns = max(1, math.floor(height / shrink / cell)), max(1, math.floor(width / shrink / cell))
    elif area < least:
        grow = math.sqrt(least / (width * height))
        rows, columns = math.ceil(height * grow / cell), math.ceil(width * grow / cell)
    return rows, columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens."""

    input: float
    output: float
    cached_input: float | None = None
    """None: cached tokens cost as others."""

    def usd(self, tokens_in: int, tokens_out: int, cached: int = 0) -> float:
        """The price of so many tokens, `cached` of `tokens_in` being served from a cache."""
        rate = self.input if self.cached_input is None else self.cached_input
        return ((tokens_in - cached) * self.input + cached * rate + tokens_out * self.output) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """Guesses for a plan of the cost; they never enter a result."""

    characters_per_token: float = 4.2
    """Of English text, where no tokenizer is at hand."""
    turn_tokens: int = 14
    """Marks around system turn, user turn and the opening of the answer."""
    reply_tokens: int = 60
    """Of a written reply, plus `reply_tokens_per_question` for each question."""
    reply_tokens_per_question: int = 30
    seconds_per_call: float | None = None
    """Of one call, waiting included, with all of `concurrency` under way. None: unknown, so no hours are planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRule:
    """What differs for one form of request, because a benchmark's protocol says so. None: as the preset has it."""

    order: Order | None = None
    codec: CodecName | None = None
    quality: int | None = None
    temperature: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How one request is put: the preset, then the form's rule, then the user's settings."""

    order: Order
    codec: Codec
    temperature: float
    top_p: float
    max_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One judge model's protocol, server flags and costs."""

    match: tuple[str, ...] = ()
    """Last parts of the model names that it is for, in any case."""
    note: str = ""
    hub_id: str = ""
    base_url: str = ""
    """Of a hosted model, where the user names no server."""
    key_env: str = ""
    """Environment variable of the key, where the user names none."""
    order: Order = "image_first"
    codec: CodecName = "png"
    quality: int | None = None
    temperature: float | None = None
    """None: what the benchmark's protocol asks for."""
    top_p: float = 1.0
    max_tokens: int = 1024
    """Of written replies."""
    timeout_s: float = 120.0
    """Of one try."""
    concurrency: int = 32
    """Most requests under way."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further fields of every request."""
    server: dict[str, Any] = field(default_factory=dict)
    """Options of a vLLM server for this model, without the leading dashes."""
    forms: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By form: fields of `FormRule`."""
    price: Price | None = None
    price_note: str = ""
    image_tokens: ImageTokens = field(default_factory=ImageTokens)
    assumed: Assumed = field(default_factory=Assumed)

    def __post_init__(self) -> None:
        for form in self.forms:
            self._rule(form)

    def _rule(self, form: str) -> FormRule:
        return build(FormRule, self.forms.get(form, {}), where=f"judge preset, forms.{form}")

    def protocol(self, form: str, temperature: float, given: FormRule | None = None) -> Protocol:
        """How a request of this form is put.

        Args:
            form: `JudgeRequest.form`.
            temperature: what the benchmark asks for.
            given: the user's settings, which win.
        """
        rules = [given or FormRule(), self._rule(form)]
        order = _first([r.order for r in rules], self.order)
        codec, quality = self.codec, self.quality
        for rule in reversed(rules):
            if rule.codec is not None:
                codec, quality = rule.codec, rule.quality
            elif rule.quality is not None:
                quality = rule.quality
        return Protocol(
            order=order,
            codec=Codec(name=codec, quality=quality),
            temperature=_first(
                [r.temperature for r in rules], temperature if self.temperature is None else self.temperature
            ),
            top_p=self.top_p,
            max_tokens=_first([r.max_tokens for r in rules], self.max_tokens),
        )


def _first(candidates: list[Any], otherwise: Any) -> Any:
    return next((c for c in candidates if c is not None), otherwise)


@cache
def presets() -> Mapping[str, Preset]:
    """All shipped presets by name."""
    data = load_yaml(FILE.read_text(encoding="utf-8"))
    return {name: build(Preset, values, where=f"{FILE.name}, preset {name}") for name, values in data.items()}


def preset_for(model: str, name: str = "") -> tuple[str, Preset]:
    """Name and preset for a model: the one asked for, else the one that matches, else `default`.

    Args:
        model: the model's name on its server, e.g. `Qwen/Qwen3-VL-30B-A3B-Instruct`.
        name: a shipped preset, or the path of a YAML file with one preset's fields.

    Raises:
        ConfigError: no such preset, or a damaged file.
    """
    known = presets()
    if name.endswith((".yaml", ".yml")):
        data, lines = read_yaml(Path(name).expanduser())
        return Path(name).stem, build(Preset, data, where=name, lines=lines)
    if name:
        if name not in known:
            raise unknown_name("judge preset", name, known)
        return name, known[name]
    last = model.rstrip("/").rpartition("/")[2].lower()
    found = next((n for n, p in known.items() if last in [m.lower() for m in p.match]), "default")
    return found, known[found]


def with_price(preset: Preset, text: str) -> Preset:
    """`preset` with prices given as `INPUT/OUTPUT` or `INPUT/CACHED/OUTPUT` in dollars per million tokens.

    Raises:
        ConfigError: another shape.
    """
    try:
        numbers = [float(part) for part in text.split("/")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3) or min(numbers) < 0:
        raise ConfigError(f"price {text!r}: expected INPUT/OUTPUT dollars per million tokens, e.g. price=2.0/8.0.")
    price = Price(input=numbers[0], output=numbers[-1], cached_input=numbers[1] if len(numbers) == 3 else None)
    return replace(preset, price=price, price_note="given by the user")

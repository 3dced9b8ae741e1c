"""One picture of a benchmark's samples: image enlarged, prompt, reasoning text, verdict."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

_TILE = 192
_GAP = 16
_TEXT_PX = 13
_LINE = 17
_COLUMNS = 4
_RIGHT, _WRONG, _MISSING = (0, 110, 60), (178, 40, 20), (110, 110, 110)  # told apart by the words too


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One sample on the sheet."""

    images: Sequence[Image.Image]
    """Source images first, then the generated one; none when the generation failed."""
    title: str
    prompt: str
    text: str
    verdict: str
    is_right: bool | None
    """None: not judged."""


def draw(title: str, tiles: Sequence[Tile]) -> bytes:
    """The sheet as PNG bytes, up to `_COLUMNS` tiles a row; rows are as high as their longest text."""
    font, bold = ImageFont.load_default(size=_TEXT_PX), ImageFont.load_default(size=_TEXT_PX + 6)
    widest = max((len(t.images) for t in tiles), default=1)
    columns = _COLUMNS if widest <= 1 else 2
    width = max(1, widest) * (_TILE + _GAP) - _GAP
    layouts = [_text_lines(t, font, width) for t in tiles]
    rows = [layouts[i : i + columns] for i in range(0, len(tiles), columns)]
    heights = [_TILE + _GAP + _LINE * max(len(lines) for lines in row) + 2 * _GAP for row in rows]
    sheet = Image.new("RGB", (columns * (width + _GAP) + _GAP, sum(heights) + 3 * _GAP + 10), (250, 250, 250))
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP, _GAP // 2), title, font=bold, fill=(20, 20, 20))
    top = 2 * _GAP + 10
    for r, row in enumerate(rows):
        for c, lines in enumerate(row):
            left = _GAP + c * (width + _GAP)
            _draw_tile(sheet, pen, tiles[r * columns + c], lines, left, top, font)
        top += heights[r]
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()


_Line = tuple[str, tuple[int, int, int]]


def _text_lines(tile: Tile, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[_Line]:
    colour = _MISSING if tile.is_right is None else _RIGHT if tile.is_right else _WRONG
    lines: list[_Line] = [(tile.title, (90, 90, 90))]
    lines += [(line, (0, 0, 0)) for line in _wrap(tile.prompt, font, width, 6)]
    lines += [(line, (30, 60, 140)) for line in _wrap(tile.text, font, width, 5)]
    return lines + [(line, colour) for line in _wrap(tile.verdict, font, width, 4)]


def _wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int, most: int) -> list[str]:
    lines: list[str] = []
    current = ""
    for word in text.split():
        while font.getlength(word) > width:
            word = word[: max(1, len(word) // 2)] + "…"
        trial = f"{current} {word}".strip()
        if font.getlength(trial) <= width:
            current = trial
        else:
            lines.append(current)
            current = word
    lines.append(current)
    lines = [line for line in lines if line]
    return lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1]} …"]


def _draw_tile(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    tile: Tile,
    lines: Sequence[_Line],
    left: int,
    top: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    for i, image in enumerate(tile.images):
        x = left + i * (_TILE + _GAP)
        sheet.paste(_enlarged(image), (x, top))
        pen.rectangle((x - 1, top - 1, x + _TILE, top + _TILE), outline=(170, 170, 170))
        if i:
            pen.text((x - _GAP + 3, top + _TILE // 2 - 8), ">", font=font, fill=(60, 60, 60))
    if not tile.images:
        pen.rectangle((left, top, left + _TILE, top + _TILE), outline=(170, 170, 170))
        pen.text((left + 8, top + _TILE // 2), "no image", font=font, fill=_MISSING)
    for i, (line, colour) in enumerate(lines):
        pen.text((left, top + _TILE + _GAP // 2 + i * _LINE), line, font=font, fill=colour)


def _enlarged(image: Image.Image) -> Image.Image:
    """The image in a `_TILE` square: small ones with hard pixel edges, large ones smoothly, aspect kept."""
    picture = image.convert("RGB")
    scale = _TILE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS)
    tile = Image.new("RGB", (_TILE, _TILE), (255, 255, 255))
    tile.paste(picture, ((_TILE - size[0]) // 2, (_TILE - size[1]) // 2))
    return tile

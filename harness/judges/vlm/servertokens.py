"""Which tokens of a vLLM server's model spell yes and no, asked from the server itself.

vLLM turns ids into text (`/detokenize`) and text into ids (`/tokenize`). The whole vocabulary is read in a few
requests: ids with a separator token between them come back as one text that is cut at the separator.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from harness.judges.vlm.transport import CallFailed
from harness.judges.vlm.yesno import YesNoTokens, normalised

Post = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""`/path`, body -> decoded reply. Raises CallFailed."""

CHUNK = 8192
"""Ids per request."""

MOST_IDS = 2_000_000
"""No vocabulary is larger; the reading ends at the first stretch of ids without text."""

MOST_ASKED = 128
"""Token ids that vLLM takes in one request."""

_SEPARATORS = ("\x1f", "\x1e", "\x1d", "\x01")
"""Control signs that are one token each in byte-level vocabularies and part of no other."""


async def server_tokens(post: Post, model: str) -> YesNoTokens | None:
    """All ids that spell yes and no; None where the server is no vLLM or its tokenizer cannot be read this way."""
    try:
        separator = await _separator(post, model)
        if separator is None:
            return None
        texts = await _vocabulary(post, model, *separator)
    except CallFailed:
        return None
    found: dict[str, list[int]] = {"yes": [], "no": []}
    for token_id, text in texts.items():
        word = normalised(text)
        # Alone once more: neighbours can change how a token decodes.
        if word in found and normalised(await _text(post, model, [token_id])) == word:
            found[word].append(token_id)
    yes, no = tuple(sorted(found["yes"])), tuple(sorted(found["no"]))
    return YesNoTokens(yes, no) if yes and no and len(yes) + len(no) <= MOST_ASKED else None


async def _separator(post: Post, model: str) -> tuple[str, int] | None:
    for sign in _SEPARATORS:
        reply = await post("/tokenize", {"model": model, "prompt": sign, "add_special_tokens": False})
        ids = reply.get("tokens") if isinstance(reply, dict) else None
        if isinstance(ids, list) and len(ids) == 1 and await _text(post, model, ids) == sign:
            return sign, int(ids[0])
    return None


async def _text(post: Post, model: str, ids: list[int]) -> str:
    reply = await post("/detokenize", {"model": model, "tokens": ids})
    text = reply.get("prompt") if isinstance(reply, dict) else None
    if not isinstance(text, str):
        raise CallFailed("detokenize", "the server does not turn token ids into text", 1)
    return text


async def _vocabulary(post: Post, model: str, sign: str, separator: int) -> dict[int, str]:
    """Text by id."""
    texts: dict[int, str] = {}
    for start in range(0, MOST_IDS, CHUNK):
        chunk = await _stretch(post, model, sign, separator, start, start + CHUNK)
        texts |= chunk
        if not any(chunk.values()):
            break
    return texts


async def _stretch(post: Post, model: str, sign: str, separator: int, start: int, end: int) -> dict[int, str]:
    """Texts of the ids from `start` to before `end`; a stretch that cannot be cut cleanly is read in halves."""
    ids = [i for i in range(start, end) if i != separator]
    joined = [x for i in ids for x in (i, separator)]
    try:
        pieces = (await _text(post, model, joined)).split(sign)
    except CallFailed as error:
        if not error.cause.startswith("http_4"):
            raise
        pieces = []  # some versions refuse ids outside the vocabulary
    if len(pieces) == len(ids) + 1:
        return dict(zip(ids, pieces[:-1], strict=True))
    if end - start == 1:
        return {}
    middle = (start + end) // 2
    left = await _stretch(post, model, sign, separator, start, middle)
    if not pieces and not left:
        return {}  # refused down to the first id: all of the stretch lies outside
    return left | await _stretch(post, model, sign, separator, middle, end)

"""Words to token ids and back. One token is one word of the world's vocabulary; there are no sub-words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from harness.world.vocabulary import WORDS, words_of

SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>", "<think>", "<reflect>")
PAD, UNK, BOS, EOS, THINK, REFLECT = range(len(SPECIALS))
TOKENS: tuple[str, ...] = (*SPECIALS, *WORDS)
STARTS = {"think": THINK, "reflect": REFLECT}
"""First token of a thought, by kind."""

_ID = {token: index for index, token in enumerate(TOKENS)}
_CLOSING = frozenset(",.?:;")


def vocabulary_hash() -> str:
    """Identifies the token list; a checkpoint fits one token list only."""
    return hashlib.sha256("\n".join(TOKENS).encode()).hexdigest()[:16]


def token_id(word: str) -> int:
    """The id of a word; `UNK` for a word outside the vocabulary."""
    return _ID.get(word, UNK)


def encode_words(words: Iterable[str]) -> list[int]:
    """Ids of `words`, without special tokens."""
    return [_ID.get(word, UNK) for word in words]


def encode_prompt(text: str) -> list[int]:
    """Ids of a prompt or instruction: `BOS`, then one per word; `UNK` for a word outside the vocabulary."""
    return [BOS, *encode_words(words_of(text))]


def encode_thought(words: Iterable[str], kind: str) -> list[int]:
    """Ids of a thought: start token of `kind`, its words, `EOS`."""
    return [STARTS[kind], *encode_words(words), EOS]


def unknown_words(text: str) -> list[str]:
    """Words of `text` outside the vocabulary, in order, each once."""
    return list(dict.fromkeys(word for word in words_of(text) if word not in _ID))


def decode_words(ids: Sequence[int]) -> list[str]:
    """Words of `ids` up to the end token, special tokens left out."""
    words: list[str] = []
    for index in ids:
        if index == EOS:
            break
        if index >= len(SPECIALS):
            words.append(TOKENS[index])
    return words


def decode_text(ids: Sequence[int]) -> str:
    """Readable text of `ids`: words with spaces between them and none before punctuation."""
    text = ""
    for word in decode_words(ids):
        text += word if not text or word in _CLOSING else f" {word}"
    return text

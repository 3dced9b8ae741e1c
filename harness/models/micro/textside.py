"""The micro model as a language model: the words of a thought after a prompt.

The network predicts thoughts only (plans and diagnoses); a prompt is read, never predicted. A context is a prompt,
then, after the word `<think>` or `<reflect>`, the beginning of a thought; without such a word (also as the
continuation's first) the thought begins where the context ends. Log-probabilities are those of sampling at
temperature 1: special tokens except the end are impossible.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.errors import PolicyError
from harness.models.base import Policy
from harness.models.micro import tokenizer
from harness.models.micro.context import PROMPT, THOUGHT, Context, pad_ids, read_text
from harness.models.micro.policy import MicroPolicy
from harness.models.micro.text import draw, log_distribution, uniforms
from harness.models.textside import TextPair, TokenScores, Written
from harness.world.vocabulary import words_of

_IMPOSSIBLE = -1e6
"""Log-probabilities below it are those of banned tokens."""

Ids = tuple[int, ...]


class MicroTextSide:
    """See `harness.models.textside.TextSide`.

    Args:
        policy: its current weights are used, also after they change.
    """

    def __init__(self, policy: Policy) -> None:
        if not isinstance(policy, MicroPolicy):
            raise PolicyError(f"{type(policy).__name__} is no micro policy.")
        self._policy = policy

    @property
    def max_tokens(self) -> int:
        """Most words of a thought, the end token included."""
        return self._policy.max_text_tokens

    def encode(self, context: str, continuation: str) -> TextPair:
        """Ids of both; see `TextSide.encode`."""
        before, whole = words_of(context), words_of(context + continuation)
        # Two texts that meet within a word would read as another word: they are taken as they were given.
        after = whole[len(before) :] if whole[: len(before)] == before else words_of(continuation)
        if after and after[0] in _STARTS and not any(w in _STARTS for w in before):
            before, after = [*before, after[0]], after[1:]  # given, never drawn
        prompt, start, begun = self._split(before)
        scored = tuple(tokenizer.encode_words(after))
        if len(scored) > self.max_tokens:
            raise PolicyError(
                f"micro: a continuation has {len(scored)} words, at most {self.max_tokens} fit. Score it in windows "
                "(lm-eval: loglikelihood_rolling)."
            )
        kept = begun[max(0, len(begun) + len(scored) - self.max_tokens) :]
        short = self._fitting(prompt)
        dropped = len(prompt) - len(short) + len(begun) - len(kept)
        return TextPair(context=(*short, start, *kept), continuation=scored, n_dropped=dropped)

    def windows(self, text: str) -> list[TextPair]:
        """The thought in `text` (all of it where no `<think>` stands) in windows; what is before is given in each."""
        words = words_of(text)
        has_start = any(w in _STARTS for w in words)
        prompt, start, body = self._split(words) if has_start else ((tokenizer.BOS,), tokenizer.THINK, _ids(words))
        short, size = self._fitting(prompt), self.max_tokens
        first = TextPair(context=(*short, start), continuation=body[:size], n_dropped=len(prompt) - len(short))
        later = [
            TextPair(context=(*short, start, *body[end - size : done]), continuation=body[done:end])
            for done in range(size, len(body), size)
            for end in (min(done + size, len(body)),)
        ]
        return [first, *later] if body else []

    @torch.no_grad()
    def log_probs(self, pairs: Sequence[TextPair]) -> list[TokenScores]:
        """Scores of the pairs in one pass; prompts that occur several times are read once."""
        if not pairs:
            return []
        splits = [_split_ids(p.context) for p in pairs]
        thoughts = [(*thought, *p.continuation) for (_, thought), p in zip(splits, pairs, strict=True)]
        distribution = self._distributions(self._read([prompt for prompt, _ in splits]), thoughts)
        found = []
        for row, thought, pair in zip(distribution, thoughts, pairs, strict=True):
            n = len(pair.continuation)
            at = row[len(thought) - 1 - n : len(thought) - 1]
            ids = torch.tensor(pair.continuation, dtype=torch.long, device=row.device)
            values = at.gather(1, ids[:, None])[:, 0].double()
            values = values.masked_fill(values < _IMPOSSIBLE, -torch.inf)
            greedy = bool((at.argmax(-1) == ids).all()) if n else True
            found.append(TokenScores(log_probs=tuple(values.tolist()), is_greedy=greedy))
        return found

    @torch.no_grad()
    def write(
        self, contexts: Sequence[str], *, max_tokens: int, temperature: float, top_p: float, seeds: Sequence[int]
    ) -> list[Written]:
        """Words after each context; see `TextSide.write`."""
        if not 1 <= max_tokens <= self.max_tokens:
            raise PolicyError(f"micro: {max_tokens} tokens asked for, expected 1..{self.max_tokens}.")
        pairs = [self.encode(c, "") for c in contexts]
        splits = [_split_ids(p.context) for p in pairs]
        # A begun thought loses its oldest words where the new ones would not fit.
        room = self.max_tokens - max_tokens
        rows = [[t[0], *t[1:][max(0, len(t) - 1 - room) :]] for _, t in splits]
        dropped = [p.n_dropped + len(t) - len(r) for p, (_, t), r in zip(pairs, splits, rows, strict=True)]
        context, random = self._read([prompt for prompt, _ in splits]), uniforms(seeds, max_tokens)
        new: list[list[int]] = [[] for _ in rows]
        for i in range(max_tokens):
            open_ = [j for j, ids in enumerate(new) if tokenizer.EOS not in ids]
            if not open_:
                break
            thoughts = [(*rows[j], *new[j], tokenizer.PAD) for j in open_]
            rest = context.select(torch.tensor(open_, device=self._policy.device))
            here = self._distributions(rest, thoughts, temperature)
            last = torch.stack([d[len(t) - 2] for d, t in zip(here, thoughts, strict=True)])
            chosen = draw(last, random[open_, i].to(last.device), greedy=temperature <= 0, top_p=top_p)
            for j, token in zip(open_, chosen.tolist(), strict=True):
                new[j].append(token)
        return [Written(text=tokenizer.decode_text(n), n_dropped=d) for n, d in zip(new, dropped, strict=True)]

    def _split(self, words: list[str]) -> tuple[Ids, int, Ids]:
        """Ids of the prompt, the start token, and ids of the thought that has begun."""
        at = max((i for i, w in enumerate(words) if w in _STARTS), default=None)
        prompt = words if at is None else words[:at]
        start = tokenizer.THINK if at is None else _STARTS[words[at]]
        return (tokenizer.BOS, *_ids(prompt)), start, () if at is None else _ids(words[at + 1 :])

    def _fitting(self, prompt: Ids) -> Ids:
        limit = self._policy.network.config.max_prompt
        return prompt if len(prompt) <= limit else (prompt[0], *prompt[len(prompt) - limit + 1 :])

    def _read(self, prompts: Sequence[Ids]) -> Context:
        different = list(dict.fromkeys(prompts))
        place = {p: i for i, p in enumerate(different)}
        policy = self._policy
        context = policy.context(len(different))
        context = read_text(policy.network, context, pad_ids(different, policy.device), PROMPT)[0]
        return context.select(torch.tensor([place[p] for p in prompts], device=policy.device))

    def _distributions(self, context: Context, thoughts: Sequence[Sequence[int]], temperature: float = 1.0) -> Tensor:
        """(B, L - 1, tokens) float32: log-probabilities of every token of the thoughts after their start."""
        ids = pad_ids(thoughts, self._policy.device)
        states = read_text(self._policy.network, context, ids, THOUGHT)[1]
        return log_distribution(self._policy.network.logits(states[:, :-1]), temperature)


_STARTS = {tokenizer.TOKENS[i]: i for i in tokenizer.STARTS.values()}


def _ids(words: Sequence[str]) -> Ids:
    return tuple(tokenizer.encode_words(words))


def _split_ids(context: Ids) -> tuple[Ids, Ids]:
    """Prompt, and thought with its start token."""
    at = max(i for i, token in enumerate(context) if token in _STARTS.values())
    return context[:at], context[at:]

"""Whose wording a judge is asked with: this project's own (`builtin`) or upstream's from the user's data folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError
from harness.prompttemplates import Field, Piece, Template, load, text_sha256

BUILTIN, OFFICIAL = "builtin", "official"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """One text with its origin."""

    origin: str
    """`builtin`, `official`, or the name of another upstream text."""
    template: Template

    @property
    def label(self) -> str:
        """For the records, as the benchmarks write it: `judge_prompt:builtin@0123456789ab`."""
        return f"judge_prompt:{self.origin}@{self.template.sha256[:12]}"

    def render(self, **values: str) -> str:
        """The text with the values put in as they are."""
        return self.template.render(**values)


def builtin(text: str, **fields: str) -> Wording:
    """A text of this project.

    Args:
        text: holds each marker once.
        fields: field -> its marker.
    """
    pieces: list[Piece] = [text]
    for name, marker in fields.items():
        place = next(i for i, p in enumerate(pieces) if isinstance(p, str) and marker in p)
        before, after = str(pieces[place]).split(marker)
        pieces[place : place + 1] = [before, Field(name), after]
    return Wording(origin=BUILTIN, template=Template(pieces=tuple(pieces), source_sha256=text_sha256(text)))


def upstream(data_dir: str | Path | None, reward: str, prompt: str, *fields: str, origin: str = OFFICIAL) -> Wording:
    """One prepared text of `run.py data prepare REWARD`.

    Args:
        data_dir: folder with official data; None takes the default one.
        reward: whose.
        prompt: which of its texts.
        fields: the values that the text must have places for.
        origin: what the records call it.

    Raises:
        DataError: it is not prepared, damaged, or has other fields.
    """
    try:
        template = load(data_dir, reward, prompt)
    except DataError as error:
        raise DataError(f"{reward}: judge_prompt={origin} needs upstream's text. {error}") from None
    if template.fields != set(fields):
        raise DataError(
            f"{reward}: the prepared prompt {prompt!r} has places for {sorted(template.fields)}, expected "
            f"{sorted(fields)}. Run `run.py data prepare {reward}` again."
        )
    return Wording(origin=origin, template=template)


_POINTWISE = """This picture was generated from a caption. Rate it by two things:
- how well it shows what the caption says: the things, what they look like, how they relate;
- how good the picture is in itself: sharp, natural, without faults.

Give one rating from 1 (poor in both) to 5 (excellent in both); decimals are allowed.
End your answer with a line of this form:
Final Score: 3.5

Caption: [<prompt>]"""

_AXES = """This picture was generated from a caption. Rate it on three scales from 1 to 5; decimals are allowed.
Alignment: does it show what the caption says?
Coherence: is it plausible in itself, without distorted or impossible parts?
Style: is it pleasing to look at?

Answer with three lines of this form and nothing else:
Alignment Score (1-5): 3.5
Coherence Score (1-5): 3.5
Style Score (1-5): 3.5

Caption: [<prompt>]"""

_EDIT_FORM = """Reply with one JSON object and nothing else:
{"reasoning": "one or two short sentences", "score": [first, second]}
"""

_EDIT_FOLLOWING = f"""The first picture is an original, the second is supposed to be the original after an edit.
Give two whole numbers from 0 to 25:
1. how fully the requested change was made (0: not at all, 25: completely);
2. how well all else was left as it was (0: nothing is left of it, 25: only the requested change differs).
{_EDIT_FORM}
The request was: <instruction>
"""

_EDIT_QUALITY = f"""Rate this picture as a picture, whatever it is meant to show.
Give two whole numbers from 0 to 25:
1. how natural it looks: light, shadows, distances (0: not at all, 25: throughout);
2. how free it is of faults such as distortion, blur, watermarks or malformed bodies (0: full of them, 25: none).
{_EDIT_FORM}"""

UNIFIEDREWARD: dict[str, list[tuple[str, str, str]]] = {
    "pointwise": [(_POINTWISE, "prompt", "<prompt>")],
    "axes": [(_AXES, "prompt", "<prompt>")],
    "edit": [(_EDIT_FOLLOWING, "instruction", "<instruction>"), (_EDIT_QUALITY, "", "")],
}
"""Built-in texts of the reward `unifiedreward`: family -> (text, field, marker) of each call."""

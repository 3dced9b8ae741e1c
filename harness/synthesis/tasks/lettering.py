"""Words on things: signs, labels, screens."""

from __future__ import annotations

from harness.synthesis import asking
from harness.synthesis.draw import NoMatch
from harness.synthesis.pairs import Maker
from harness.synthesis.primitives import Carrier, Kind, Noun
from harness.synthesis.scene import Asked, Entity
from harness.synthesis.wording import fill


def build(maker: Maker) -> None:
    """Easy: words on a thing. Medium: the thing or the letters are described. Hard: both, often with a second text."""
    scene, draw = maker.scene, maker.draw
    carrier = _carrier(maker)
    words = draw.choice(carrier.words)
    kinds: tuple[Kind, ...] = ("color",) if scene.level == 2 or (scene.level == 1 and draw.chance(50)) else ()
    a = _entity(maker, carrier, kinds)
    scene.add(a)
    scene.core = (a.primitive, f"text:{words}")
    scene.lettering.append((a.definite, words))
    scene.ask(*asking.of_entity(a), *asking.lettering(words, f"{carrier.at} {a.definite}"))
    if scene.level == 2 or (scene.level == 1 and not kinds):
        letters = lettered(maker, words)
        said = fill(maker.pool, draw, "text_lettered", a=a, words=words, letters=letters, at=carrier.at)
    else:
        at_it = f"{carrier.at} it"
        said = fill(maker.pool, draw, "text", a=a, words=words, at=carrier.at, at_it=at_it, says="says")
    scene.sentences.append(said)
    if scene.level == 2 and draw.chance(60):
        _second(maker, a)


def lettered(maker: Maker, words: str) -> str:
    """A drawn look of letters, noted and asked."""
    scene, draw = maker.scene, maker.draw
    quality, kind = draw.choice(maker.pool.letterings)
    color = draw.choice([c for c in maker.pool.letter_colors if c not in scene.used_words])
    scene.note(f"lettering:{quality} {kind}")
    scene.ask(Asked(f'Is the text "{words}" written in {quality} {kind}?', "Attribute", (words, quality, kind)))
    if scene.level == 2:
        scene.used_words.add(color)
        scene.note(f"color:{color}")
        scene.ask(Asked(f'Is the text "{words}" {color}?', "Attribute", (words, color)))
        return f"{quality} {color} {kind}"
    return f"{quality} {kind}"


def _carrier(maker: Maker, *, but: str = "") -> Carrier:
    place = maker.scene.place.name
    return maker.draw.choice([c for c in maker.pool.carriers if place in c.places and c.name != but])


def _entity(maker: Maker, carrier: Carrier, kinds: tuple[Kind, ...]) -> Entity:
    """The carrier as a thing of the scene; without `kinds` it sometimes gets a texture."""
    noun = Noun(
        name=carrier.name,
        build="artifact",
        size=carrier.size,
        pose="stand",
        places=frozenset(carrier.places),
        plural=f"{carrier.name}s",
        colors=carrier.colors,
        textures=carrier.textures,
    )
    if kinds and not carrier.colors:
        kinds = ("texture",) if carrier.textures else ()
    if not kinds and carrier.textures and maker.draw.chance(40):
        kinds = ("texture",)
    return maker.entity(noun, kinds)


def _second(maker: Maker, a: Entity) -> None:
    scene, draw = maker.scene, maker.draw
    carrier = _carrier(maker, but=a.noun.name)
    words = draw.choice(carrier.words)
    if words == scene.lettering[0][1]:
        raise NoMatch
    c = _entity(maker, carrier, ())
    scene.add(c)
    scene.note(f"text:{words}")
    scene.lettering.append((c.definite, words))
    scene.ask(*asking.of_entity(c), *asking.lettering(words, f"{carrier.at} {c.definite}"))
    scene.sentences.append(fill(maker.pool, draw, "text_second", a=a, c=c, words=words))

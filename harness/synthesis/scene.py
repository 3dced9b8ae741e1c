"""What a prompt is about: entities with their adjectives, and the scene that collects all that is said and asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.synthesis.language import continued, number, sentence, with_article
from harness.synthesis.primitives import Adjective, Condition, Noun, Place, Style

Difficulty = Literal["easy", "medium", "hard"]
DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "medium", "hard")

SEMANTIC_TAGS = (
    "Style",
    "Environment",
    "Viewpoint",
    "Existence",
    "Count",
    "Attribute",
    "Action",
    "Spatial",
    "Text",
    "Negative",
)
QUALITY_TAGS = ("Geometry", "Anatomy", "Texture", "Coherence", "Lighting", "Physics", "Legibility", "Aesthetics")

CONTENT_KINDS = frozenset(
    {"object", "animal", "person", "garment", "style", "carrier", "text", "title", "element", "part", "contrast"}
)
"""Kinds of primitives whose combinations separate train from test; attributes, places, lights and views are shared."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to which a faithful image gets a yes."""

    text: str
    tag: str
    about: tuple[str, ...]
    """Phrases that must occur in the prompt for the question to make sense; of forms between `|` one is enough."""


@dataclass(slots=True)
class Entity:
    """A noun of the scene as it is described there."""

    noun: Noun
    count: int = 1
    """0: an unstated number of several."""
    adjectives: tuple[Adjective, ...] = ()
    worn: Entity | None = None
    """A garment, of people only."""

    @property
    def is_plural(self) -> bool:
        """Takes plural verbs."""
        return self.count != 1 or self.noun.plural_only

    @property
    def head(self) -> str:
        """The noun in its number, without adjectives."""
        return self.noun.plural if self.is_plural else self.noun.name

    @property
    def mention(self) -> str:
        """The forms in which a prompt may name it, separated by `|`."""
        return self.head if self.noun.plural_only else f"{self.noun.name}|{self.noun.plural}"

    @property
    def described(self) -> str:
        """The noun behind its adjectives, in English order."""
        ordered = sorted(self.adjectives, key=lambda a: a.order)
        return " ".join([*(a.word for a in ordered), self.head])

    @property
    def indefinite(self) -> str:
        """As it is first mentioned: `a red chair`, `three chairs`, `a woman in a blue coat`."""
        if self.count > 1:
            text = f"{number(self.count)} {self.described}"
        else:
            text = self.described if self.is_plural else with_article(self.described)
        return f"{text} in {self.worn.indefinite}" if self.worn else text

    @property
    def definite(self) -> str:
        """As it is mentioned again: `the chair`."""
        return f"the {self.head}"

    @property
    def primitive(self) -> str:
        """`object:chair`, `animal:dog`, `person:woman` or `garment:hat`."""
        build = self.noun.build
        return f"{build if build in ('animal', 'person', 'garment') else 'object'}:{self.noun.name}"

    def words_of(self, kind: str) -> list[str]:
        """Its adjectives of one kind; a garment's count as its wearer's."""
        own = [a.word for a in self.adjectives if a.kind == kind]
        return own + (self.worn.words_of(kind) if self.worn else [])


@dataclass(slots=True)
class Scene:
    """A prompt while it is made."""

    task: str
    difficulty: Difficulty
    place: Place
    core: tuple[str, str] = ("", "")
    """The two primitives that make the prompt what it is; see `CONTENT_KINDS`."""
    entities: list[Entity] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    lead: str = ""
    """An opening phrase of the first sentence."""
    questions: list[Asked] = field(default_factory=list)
    primitives: list[str] = field(default_factory=list)
    contacts: list[tuple[Entity, Entity]] = field(default_factory=list)
    """(upper or inner, lower or outer) that touch."""
    movers: list[tuple[Entity, str]] = field(default_factory=list)
    """(who, what it is doing)."""
    lettering: list[tuple[str, str]] = field(default_factory=list)
    """(what carries them, words)."""
    design: str = ""
    """What is designed, in real-world requests."""
    elements: list[str] = field(default_factory=list)
    """What it shows, with articles."""
    style: Style | None = None
    look: str = ""
    light: Condition | None = None
    view: Condition | None = None
    place_stated: bool = False
    absent: list[str] = field(default_factory=list)
    """Heads of what must not be there."""
    named: set[str] = field(default_factory=set)
    """Nouns that the text names without their being entities."""
    used_words: set[str] = field(default_factory=set)
    """Adjectives in use: two things of a scene never share one, so that a mix-up shows."""

    @property
    def level(self) -> int:
        """0, 1, 2 for easy, medium, hard."""
        return DIFFICULTIES.index(self.difficulty)

    @property
    def text(self) -> str:
        """The prompt."""
        first, *rest = self.sentences
        if self.lead:
            first = f"{sentence(self.lead)}, {continued(first)}"
        return " ".join([first, *rest])

    def add(self, *entities: Entity) -> None:
        """Takes entities into the scene and lists their primitives."""
        for entity in entities:
            self.entities.append(entity)
            self.note(entity.primitive)
            for adjective in entity.adjectives:
                self.note(f"{adjective.kind}:{adjective.word}")
                self.used_words.add(adjective.word)
            if entity.count > 1:
                self.note(f"count:{entity.count}")
            if entity.worn:
                self.note(entity.worn.primitive)
                for adjective in entity.worn.adjectives:
                    self.note(f"{adjective.kind}:{adjective.word}")
                    self.used_words.add(adjective.word)

    def note(self, *primitives: str) -> None:
        """Lists primitives once each."""
        self.primitives += [p for p in dict.fromkeys(primitives) if p not in self.primitives]

    def ask(self, *questions: Asked) -> None:
        """Adds questions that are not there yet."""
        known = {q.text for q in self.questions}
        self.questions += [q for q in questions if q.text not in known]

    def has(self, noun: Noun) -> bool:
        """Whether the noun is in use, also as something worn or absent; a pine tree counts as a tree."""
        names = {e.noun.name for e in self.entities} | {e.worn.noun.name for e in self.entities if e.worn}
        names |= self.named | set(self.absent)
        return noun.head in {name.rpartition(" ")[2] for name in names}

    @property
    def record_primitives(self) -> list[str]:
        """All primitives, the two of the core first."""
        return list(dict.fromkeys([*self.core, *self.primitives]))

    @property
    def content(self) -> list[str]:
        """The primitives whose combinations separate train from test."""
        return [p for p in self.record_primitives if p.partition(":")[0] in CONTENT_KINDS]

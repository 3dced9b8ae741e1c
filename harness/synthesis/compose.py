"""One prompt from one stream of choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.synthesis import extras, quality
from harness.synthesis.checks import problems
from harness.synthesis.draw import Draw
from harness.synthesis.pairs import Maker
from harness.synthesis.pool import Pool
from harness.synthesis.scene import Asked, Difficulty, Scene
from harness.synthesis.tasks import TASKS


@dataclass(frozen=True, slots=True)
class Prompt:
    """A finished prompt with its questions."""

    text: str
    task: str
    difficulty: Difficulty
    primitives: tuple[str, ...]
    """All of them; the two of the core first."""
    semantic: tuple[Asked, ...]
    quality: tuple[Asked, ...]
    problems: tuple[str, ...]
    """Why it cannot be used; empty if it can."""


def draw_scene(pool: Pool, draw: Draw, task: str, difficulty: Difficulty) -> Scene:
    """A scene with its text and semantic questions.

    Raises:
        NoMatch: the drawn place has nothing that fits; draw again.
    """
    scene = Scene(task, difficulty, draw.choice(list(pool.places.values())))
    maker = Maker(pool, draw, scene)
    TASKS[task](maker)
    extras.enrich(maker)
    return scene


def finish(pool: Pool, draw: Draw, scene: Scene) -> Prompt:
    """The scene as a prompt with all questions, checked."""
    asked = quality.questions(pool, draw, scene)
    return Prompt(
        text=scene.text,
        task=scene.task,
        difficulty=scene.difficulty,
        primitives=tuple(scene.record_primitives),
        semantic=tuple(scene.questions),
        quality=tuple(asked),
        problems=tuple(problems(scene, scene.questions, asked)),
    )


def question_records(kind: str, questions: Sequence[Asked]) -> list[dict[str, object]]:
    """Questions in the published record format."""
    return [{"question_type": kind, "question": q.text, "is_valid": True, "tag": q.tag} for q in questions]

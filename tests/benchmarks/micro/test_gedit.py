"""GEdit's micro edition: sources, instructions, and questions that tell right edits from missing and excessive ones."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.micro import gedit
from benchmarks.micro.gedit import EditCase
from harness.errors import DataError
from harness.world.grammar import fact_of, holds
from harness.world.plan import plan_words
from harness.world.scene import BACKGROUNDS, COLOURS, SIZE_PX, SIZES, Scene
from tests.benchmarks.micro.support import look, rng, says_yes
from tests.harness.world.edit_reading import request_of

CASES = gedit.cases()


def _passes(case: EditCase, perception, name: str) -> bool:
    return all(says_yes(perception, text) for text in case.prompt.meta[name])


def _true(scene: Scene, texts: list[str]) -> bool:
    return all(holds(scene, fact_of(text)) for text in texts)


def _overdone(case: EditCase, step: int) -> Scene | None:
    """The right target with one kept object changed as well; None where nothing is kept."""
    target, source, r = case.edit.target, case.edit.source, rng("overdone", step)
    kept = [i for i, o in enumerate(target.objects) if o in source.objects]
    if not kept:
        return None
    i = int(r.choice(kept))
    thing = target.objects[i]
    how = int(r.integers(3))
    if how == 0:
        free = [c for c in range(len(COLOURS)) if c not in {o.colour for o in target.objects}]
        changed = replace(thing, colour=int(r.choice(free)))
    elif how == 1:
        changed = replace(thing, size=(thing.size + 1) % len(SIZES))
    else:
        return replace(target, objects=tuple(o for o in target.objects if o is not thing))
    return replace(target, objects=tuple(changed if o is thing else o for o in target.objects))


def test_groups_have_official_names_and_equal_size() -> None:
    assert Counter(c.prompt.category for c in CASES) == dict.fromkeys(gedit.GROUPS, gedit.N_PER_GROUP)
    assert [c.prompt.category for c in CASES] == sorted(c.prompt.category for c in CASES)


def test_metadata_has_the_official_columns() -> None:
    keys = set()
    for prompt in (c.prompt for c in CASES):
        assert re.fullmatch(r"[0-9a-f]{32}", prompt.meta["key"])
        keys.add(prompt.meta["key"])
        assert (prompt.meta["group"], prompt.meta["instruction_language"]) == (prompt.category, "en")
        assert prompt.meta["Intersection_exist"] is True
        assert prompt.source_images == ("source",)
    assert len(keys) == len(CASES)


def test_instructions_can_be_read_back() -> None:
    for case in CASES:
        assert request_of(case.prompt.text) == case.edit.request


def test_all_backgrounds_are_asked_for() -> None:
    asked = Counter(c.edit.request.background for c in CASES if c.prompt.category == "background_change")
    assert asked == dict.fromkeys(range(len(BACKGROUNDS)), gedit.N_PER_GROUP // len(BACKGROUNDS))


def test_source_image_shows_the_source_and_never_changes() -> None:
    seen = look([c.edit.source for c in CASES[::20]])
    for case, perception in zip(CASES[::20], seen, strict=True):
        picture = gedit.source_image(case.prompt)
        assert picture.size == (SIZE_PX, SIZE_PX) and picture.mode == "RGB"
        assert np.array_equal(np.asarray(picture), np.asarray(gedit.source_image(case.prompt)))
        assert case.prompt.meta["scene"] == " ".join(plan_words(case.edit.source))
        assert len(perception.objects) == len(case.edit.source.objects)


def test_a_damaged_scene_is_refused() -> None:
    prompt = replace(CASES[0].prompt, meta=CASES[0].prompt.meta | {"scene": "a nice view"})
    with pytest.raises(DataError, match="not a plan"):
        gedit.source_image(prompt)


def test_every_right_target_fulfils_all_questions_by_definition() -> None:
    n_targets = []
    for case in CASES:
        targets = gedit.right_targets(case.edit)
        assert case.edit.target in targets
        n_targets.append(len(targets))
        texts = case.prompt.meta["facts"] + case.prompt.meta["kept"]
        assert all(_true(t, texts) for t in targets)
    assert max(n_targets) > 10


def test_the_source_keeps_everything_but_misses_a_fact() -> None:
    for case in CASES:
        assert _true(case.edit.source, case.prompt.meta["kept"])
        assert not _true(case.edit.source, case.prompt.meta["facts"])


def test_pictures_of_right_targets_answer_yes_throughout() -> None:
    seen = look([c.edit.target for c in CASES])
    names = ("facts", "kept", "quality")
    assert [(c.prompt.id, n) for c, p in zip(CASES, seen, strict=True) for n in names if not _passes(c, p, n)] == []


def test_unchanged_pictures_keep_everything_but_miss_a_fact() -> None:
    seen = look([c.edit.source for c in CASES])
    assert [c.prompt.id for c, p in zip(CASES, seen, strict=True) if not _passes(c, p, "kept")] == []
    assert [c.prompt.id for c, p in zip(CASES, seen, strict=True) if _passes(c, p, "facts")] == []


def test_changing_more_than_asked_fails_a_kept_question() -> None:
    overdone = [(c, s) for i, c in enumerate(CASES) if (s := _overdone(c, i)) is not None]
    seen = look([s for _, s in overdone])
    assert len(overdone) > 150
    assert [c.prompt.id for (c, _), p in zip(overdone, seen, strict=True) if _passes(c, p, "kept")] == []

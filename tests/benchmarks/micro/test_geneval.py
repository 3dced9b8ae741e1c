"""GenEval's micro edition: metadata of the official form that right pictures fulfil and wrong ones do not."""

from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.geneval import judge
from benchmarks.geneval.metadata import parse_metadata
from benchmarks.micro import geneval
from benchmarks.micro.build import Case
from harness.errors import DataError
from harness.world.grammar import sample_layout
from harness.world.scene import COLOURS, N_CELLS, SHAPES, Scene, SceneObject
from harness.world.verifier import detections
from tests.benchmarks.micro.support import look, rng

CASES = geneval.cases()


def _layouts(cases: list[Case]) -> list[Scene]:
    return [sample_layout(rng("layout", i), c.spec) for i, c in enumerate(cases)]


def _verdicts(cases: list[Case], scenes: list[Scene], protocol: str = "official") -> list[bool]:
    seen = [detections(p) for p in look(scenes)]
    return [judge(c.prompt.meta, *d, protocol=protocol).correct for c, d in zip(cases, seen, strict=True)]


def _broken(scene: Scene, tag: str) -> Scene:
    """`scene` with the one thing changed that the task checks."""
    first, *rest = scene.objects
    match tag:
        case "single_object":
            changed = [replace(first, shape=(first.shape + 1) % len(SHAPES))]
        case "two_object":
            changed = [replace(first, shape=rest[0].shape), *rest]
        case "counting":
            changed = rest
        case "colors":
            changed = [replace(first, colour=(first.colour + 1) % len(COLOURS))]
        case "position":
            changed = [replace(first, cell=rest[0].cell), replace(rest[0], cell=first.cell)]
        case _:
            changed = [replace(first, colour=rest[0].colour), replace(rest[0], colour=first.colour)]
    return replace(scene, objects=tuple(changed))


def test_every_task_has_its_number_of_prompts_in_file_order() -> None:
    assert Counter(c.prompt.category for c in CASES) == dict.fromkeys(geneval.TAGS, geneval.N_PER_TAG)
    assert [c.prompt.id for c in CASES] == [f"geneval/{i:05d}" for i in range(6 * geneval.N_PER_TAG)]
    assert [c.prompt.category for c in CASES] == sorted((c.prompt.category for c in CASES), key=geneval.TAGS.index)


def test_metadata_is_of_the_official_form() -> None:
    for case in CASES:
        meta = parse_metadata(case.prompt.meta, where=case.prompt.id)
        assert meta.tag == case.prompt.category
        assert meta.prompt == case.prompt.text
        assert bool(meta.exclude) == (meta.tag == "counting")
        assert all(c.class_ in SHAPES for c in meta.include)


def test_metadata_says_what_the_spec_says() -> None:
    for case in CASES:
        meta = parse_metadata(case.prompt.meta, where=case.prompt.id)
        groups = case.spec.groups[::-1] if meta.tag == "position" else case.spec.groups
        asked = [
            (SHAPES[g.what.shape], g.count, None if g.what.colour is None else COLOURS[g.what.colour]) for g in groups
        ]
        assert [(c.class_, c.count, c.color) for c in meta.include] == asked
        relations = [geneval._POSITIONS[link.value] for link in case.spec.links]
        assert [c.position[0] for c in meta.include if c.position] == relations


def test_tasks_demand_what_they_are_named_for() -> None:
    by_tag = {
        t: [parse_metadata(c.prompt.meta, where="") for c in CASES if c.prompt.category == t] for t in geneval.TAGS
    }
    assert all(len(m.include) == 2 and m.include[0].class_ != m.include[1].class_ for m in by_tag["two_object"])
    assert {m.include[0].count for m in by_tag["counting"]} == {2, 3, 4}
    assert all(m.exclude[0].count == m.include[0].count + 1 for m in by_tag["counting"])
    assert all(m.include[1].position[1] == 0 and m.include[0].position is None for m in by_tag["position"])
    assert {m.include[1].position[0] for m in by_tag["position"]} == {"left of", "right of", "above", "below"}
    assert all(m.include[0].color != m.include[1].color for m in by_tag["color_attr"])


def test_unchecked_words_are_the_exception_where_the_world_is_large_enough() -> None:
    def n_words(case: Case) -> int:
        whats = [g.what for g in case.spec.groups]
        return (case.spec.background is not None) + sum((w.size is not None) + (w.texture is not None) for w in whats)

    assert {n_words(c) for c in CASES if c.prompt.category == "color_attr"} == {0}
    for tag in geneval.TAGS:
        words = [
            n_words(c) + any(g.place is not None for g in c.spec.groups) for c in CASES if c.prompt.category == tag
        ]
        assert words == sorted(words)
        assert words[0] == 0


def test_asking_for_more_prompts_than_the_world_has_is_an_error() -> None:
    with pytest.raises(DataError, match=r"benchmark prompts of counting, got 500"):
        geneval._specs("counting", 500, 0)


@pytest.mark.parametrize("protocol", ["official", "corrected"])
def test_pictures_of_right_layouts_are_correct(protocol: str) -> None:
    cases = list(CASES)
    verdicts = _verdicts(cases, _layouts(cases), protocol)
    assert [c.prompt.id for c, ok in zip(cases, verdicts, strict=True) if not ok] == []


def test_pictures_that_miss_the_demand_are_wrong() -> None:
    cases = list(CASES)[::3]
    broken = [_broken(s, c.prompt.category) for c, s in zip(cases, _layouts(cases), strict=True)]
    verdicts = _verdicts(cases, broken)
    assert [c.prompt.id for c, ok in zip(cases, verdicts, strict=True) if ok] == []


def test_one_object_too_many_breaks_counting_only() -> None:
    cases = [c for c in CASES if c.prompt.category in ("counting", "two_object")][::2]
    scenes = []
    for scene in _layouts(cases):
        first = scene.objects[0]
        free = next(cell for cell in range(N_CELLS) if cell in scene.free_cells())
        extra = SceneObject(first.shape, first.colour, first.size, free, first.texture)
        scenes.append(replace(scene, objects=(*scene.objects, extra)))
    verdicts = _verdicts(cases, scenes)
    assert verdicts == [c.prompt.category == "two_object" for c in cases]

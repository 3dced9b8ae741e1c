from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from world_cases import corruptions, layouts, specs

from harness.errors import DataError
from harness.world.grammar import (
    CATEGORIES,
    CORRUPTIONS,
    FEATURES,
    HELD_OUT,
    HINTS,
    KINDS,
    STYLES,
    Description,
    Group,
    Link,
    Spec,
    canonical,
    corrupt,
    facts_of,
    hint_categories,
    holds,
    sample_layout,
    sample_spec,
    satisfies,
    split_of,
    wording,
)
from harness.world.grammar.indirect import hints_for
from harness.world.plan import DIAGNOSES
from harness.world.scene import BACKGROUNDS, COLOURS, MAX_OBJECTS, SHAPES, problems
from harness.world.vocabulary import WORDS, words_of


def _held_out(scene):
    return {(o.colour, o.shape) for o in scene.objects} & HELD_OUT


@pytest.mark.parametrize("style", STYLES)
def test_every_wording_uses_known_words_only(style):
    rng = np.random.default_rng(0)
    used = {word for spec in specs() for word in words_of(wording(spec, rng, style))}
    assert used - set(WORDS) == set()


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_hints_at_something_with_known_words(category):
    rng = np.random.default_rng(1)
    fitting = [s for s in specs()[:600] if category in hint_categories(s)]
    assert len(fitting) > 100
    for spec in fitting:
        hinted = wording(spec, rng, "indirect", category=category)
        assert set(words_of(hinted)) <= set(WORDS)
        phrases = [h.phrase for h in HINTS if h.category == category]
        assert any(phrase in hinted for phrase in phrases)


def test_each_shape_and_colour_has_two_hints_and_no_phrase_means_two_things():
    for attribute, values in (("shape", SHAPES), ("colour", COLOURS), ("background", BACKGROUNDS)):
        for value in range(len(values)):
            assert len(hints_for(attribute, value)) >= 2
    assert max(Counter((h.attribute, h.phrase) for h in HINTS).values()) == 1


def test_an_indirect_wording_does_not_name_what_it_hints_at():
    spec = Spec("two", (Group(Description(2, 3)), Group(Description(5, 0))))
    text = wording(spec, np.random.default_rng(0), "indirect")
    assert not {"triangle", "star", "green", "red"} & set(words_of(text))


def test_a_category_without_a_hint_for_the_spec_is_refused():
    spec = Spec("single", (Group(Description(3)),))
    assert "TIME" not in hint_categories(spec)
    with pytest.raises(DataError, match="No TIME hint"):
        wording(spec, np.random.default_rng(0), "indirect", category="TIME")


def test_dense_and_long_wordings_are_longer_than_short_ones_and_stay_below_100_words():
    rng = np.random.default_rng(2)
    dense = [s for s in specs() if s.kind == "dense"]
    lengths = {style: [len(words_of(wording(s, rng, style))) for s in dense] for style in ("short", "long", "dense")}
    assert np.mean(lengths["long"]) > np.mean(lengths["short"])
    assert max(lengths["dense"]) < 100
    assert np.quantile(lengths["dense"], 0.9) <= 60


def test_splits_share_no_canonical_form_and_training_names_no_held_out_combination():
    rng = np.random.default_rng(3)
    train = [sample_spec(rng, split="train") for _ in range(600)]
    bench = [sample_spec(rng, split="bench") for _ in range(300)]
    assert not {canonical(s) for s in train} & {canonical(s) for s in bench}
    assert len(HELD_OUT) >= 2
    assert not any((g.what.colour, g.what.shape) in HELD_OUT for s in train for g in s.groups)
    held = sample_spec(rng, "two", "bench", require=("held_out",))
    assert any((g.what.colour, g.what.shape) in HELD_OUT for g in held.groups)


def test_training_layouts_and_corruptions_show_no_held_out_combination():
    rng = np.random.default_rng(4)
    for spec in (s for s in specs() if split_of(s) == "train"):
        scene = sample_layout(rng, spec)
        assert not _held_out(scene)
        assert not _held_out(corrupt(rng, scene, spec)[0])


def test_canonical_form_ignores_order_and_mirrors_and_tells_contents_apart():
    a, b = Group(Description(0, 1)), Group(Description(1, 2))
    left = Spec("relation", (a, b), (Link("relation", 0, 0, 1),))
    right = Spec("other", (b, a), (Link("relation", 1, 0, 1),))
    assert canonical(left) == canonical(right)
    assert canonical(left) != canonical(Spec("relation", (a, b), (Link("relation", 1, 0, 1),)))
    assert canonical(left) != canonical(replace(left, background=0))
    assert canonical(left) != canonical(replace(left, absent=(Description(2),)))


def test_layouts_satisfy_their_specs_and_can_be_drawn():
    for spec, layout in zip(specs(), layouts(), strict=True):
        assert satisfies(layout, spec)
        assert problems(layout) == []
        assert len(layout.objects) == spec.total <= MAX_OBJECTS


def test_related_single_objects_stand_further_along_than_across():
    for spec, layout in zip(specs(), layouts(), strict=True):
        if spec.kind == "relation" and spec.total == 2:
            a, b = layout.objects
            along, across = abs(a.column - b.column), abs(a.row - b.row)
            if spec.links[0].value >= 2:
                along, across = across, along
            assert along >= across


def test_a_corruption_is_one_change_that_violates_the_spec():
    for spec, layout, (broken, diagnosis) in zip(specs(), layouts(), corruptions(), strict=True):
        assert not satisfies(broken, spec)
        assert problems(broken) == []
        gone = set(layout.objects) - set(broken.objects)
        new = set(broken.objects) - set(layout.objects)
        if diagnosis == "background":
            assert (broken.background != layout.background, gone, new) == (True, set(), set())
            continue
        assert broken.background == layout.background
        expected = {"missing": [(1, 0)], "extra": [(0, 1)], "place": [(1, 1), (2, 2)]}.get(diagnosis, [(1, 1)])
        assert (len(gone), len(new)) in expected
        if expected == [(1, 1)]:
            before, after = gone.pop(), new.pop()
            assert replace(before, **{diagnosis: getattr(after, diagnosis)}) == after


def test_corruptions_reach_every_kind_and_every_kind_is_a_diagnosis():
    assert {diagnosis for _, diagnosis in corruptions()} == set(CORRUPTIONS)
    assert set(CORRUPTIONS) <= set(DIAGNOSES)


def test_only_a_satisfying_scene_can_be_corrupted():
    spec, (broken, _) = specs()[0], corruptions()[0]
    with pytest.raises(DataError, match="satisfies the spec"):
        corrupt(np.random.default_rng(0), broken, spec)


def test_contradicting_constraints_are_reported():
    a, b = Group(Description(0, 1)), Group(Description(1, 2))
    spec = Spec("relation", (a, b), (Link("relation", 0, 0, 1), Link("relation", 1, 0, 1)))
    with pytest.raises(DataError, match="contradict"):
        sample_layout(np.random.default_rng(0), spec)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_gives_its_structure(kind):
    rng = np.random.default_rng(5)
    for _ in range(30):
        spec = sample_spec(rng, kind)
        assert spec.kind == kind
        has = {
            "relation": any(link.kind == "relation" for link in spec.links),
            "comparison": any(link.kind == "size" for link in spec.links),
            "number": spec.has_open_counts,
            "negation": bool(spec.absent),
            "differentiation": bool(spec.varieties),
            "place": any(g.place is not None for g in spec.groups),
            "count": any(g.count is not None and 2 <= g.count <= 4 for g in spec.groups),
            "dense": 3 <= len(spec.groups) <= 5 and spec.background is not None,
            "single": spec.total == 1,
            "two": len(spec.groups) == 2,
            "three": len(spec.groups) == 3,
        }
        assert has[kind]


@pytest.mark.parametrize(
    ("kind", "feature"),
    [
        (k, f)
        for k in ("two", "count", "comparison", "differentiation", "negation")
        for f in ("colour", "texture", "relation")
    ],
)
def test_required_features_are_there_in_every_combination_that_a_benchmark_needs(kind, feature):
    rng = np.random.default_rng(6)
    for _ in range(8):
        spec = sample_spec(rng, kind, "bench", require=(feature,))
        present = {
            "colour": all(
                g.what.colour is not None or v == i for i, g in enumerate(spec.groups) for v in _varied(spec)
            ),
            "texture": any(g.what.texture is not None for g in spec.groups),
            "relation": any(link.kind == "relation" for link in spec.links),
        }
        assert present[feature]


def _varied(spec):
    return [v.group for v in spec.varieties if v.attribute == "colour"] or [-1]


def test_forbidden_features_are_absent():
    rng = np.random.default_rng(7)
    for kind in ("single", "two", "count", "relation"):
        for _ in range(20):
            spec = sample_spec(rng, kind, None, forbid=("colour", "size", "texture", "background", "negation"))
            assert spec.background is None
            assert not spec.absent
            assert all(g.what == Description(g.what.shape) for g in spec.groups)


def test_unknown_kinds_features_and_styles_are_reported():
    rng = np.random.default_rng(8)
    with pytest.raises(DataError, match="Unknown kind of spec 'four'"):
        sample_spec(rng, "four")
    with pytest.raises(DataError, match="Unknown feature 'shade'"):
        sample_spec(rng, require=("shade",))
    with pytest.raises(DataError, match="Unknown wording style 'terse'"):
        wording(specs()[0], rng, "terse")
    assert "held_out" in FEATURES


def test_the_facts_of_a_spec_are_equivalent_to_it_by_a_literal_count():
    """Groups are disjoint, so a scene shows the groups exactly when each has its number and nothing is left over."""
    plain = [(s, c[0], ly) for s, c, ly in zip(specs(), corruptions(), layouts(), strict=True) if _only_groups(s)]
    assert len(plain) > 200
    for spec, broken, layout in plain:
        for scene in (broken, layout):
            numbers = [sum(g.what.matches(o) for o in scene.objects) for g in spec.groups]
            literal = numbers == [g.count for g in spec.groups] and len(scene.objects) == sum(numbers)
            assert literal == all(holds(scene, fact) for fact in facts_of(spec))


def _only_groups(spec):
    return not (spec.links or spec.varieties or spec.absent or spec.background is not None) and all(
        g.count is not None and g.place is None for g in spec.groups
    )

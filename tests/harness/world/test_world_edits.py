from dataclasses import replace

import numpy as np
import pytest
from edit_reading import request_of
from world_cases import one

from harness.errors import DataError
from harness.world.edits import (
    EDIT_KINDS,
    EditRequest,
    allowed_cells,
    apply,
    canonical,
    find,
    sample_edit,
)
from harness.world.grammar import HELD_OUT, Description
from harness.world.scene import Scene, problems
from harness.world.vocabulary import WORDS, words_of


def _edits(n, split, seed=0):
    rng = np.random.default_rng(seed)
    return [sample_edit(rng, EDIT_KINDS[i % len(EDIT_KINDS)], split) for i in range(n)]


def test_instructions_use_known_words_and_read_back_as_their_request():
    for edit in _edits(900, None):
        assert set(words_of(edit.instruction)) <= set(WORDS)
        assert request_of(edit.instruction) == edit.request
        assert request_of(edit.instruction.capitalize() + ".") == edit.request


def test_every_kind_has_two_wordings():
    for kind in EDIT_KINDS:
        rng = np.random.default_rng(3)
        assert len({sample_edit(rng, kind).instruction.removeprefix("please ").split()[0] for _ in range(60)}) >= 2


def test_an_edit_changes_what_it_says_and_nothing_else():
    for edit in _edits(600, None, 1):
        source, target, request = edit.source, edit.target, edit.request
        assert problems(source) == problems(target) == []
        gone, new = set(source.objects) - set(target.objects), set(target.objects) - set(source.objects)
        assert (source.background == target.background) == (request.kind != "background")
        sizes = {"background": (0, 0), "add": (0, 1), "remove": (1, 0)}.get(request.kind, (1, 1))
        assert (len(gone), len(new)) == sizes
        if request.subject is not None:
            assert gone == {find(source, request.subject)}
        if request.kind == "recolour":
            assert new == {replace(gone.pop(), colour=request.colour)}
        if request.kind == "move":
            moved = new.pop()
            assert moved == replace(gone.pop(), cell=moved.cell)
            assert moved.cell in allowed_cells(source, request)
        if request.kind == "add":
            assert request.new.matches(next(iter(new)))


def test_splits_share_no_request_and_training_shows_no_held_out_combination():
    train, bench = _edits(400, "train", 5), _edits(400, "bench", 6)
    for edit in train:
        assert not {(o.colour, o.shape) for s in (edit.source, edit.target) for o in s.objects} & HELD_OUT
    plain = [e for e in bench if not {(o.colour, o.shape) for s in (e.source, e.target) for o in s.objects} & HELD_OUT]
    assert not {canonical(e.request) for e in train} & {canonical(e.request) for e in plain}


@pytest.mark.parametrize(
    "text", ["", "make it nicer", "remove the dog", "add a circle", "move the red circle", "paint"]
)
def test_other_instructions_are_not_understood(text):
    assert request_of(text) is None


def test_impossible_edits_give_none():
    rng = np.random.default_rng(0)
    scene = Scene(0, (one("circle", cell=0), one("star", "blue", cell=8)))
    circle = Description(0)
    assert apply(rng, scene, EditRequest("remove", Description(2))) is None
    assert apply(rng, scene, EditRequest("recolour", circle, colour=0)) is None
    assert apply(rng, scene, EditRequest("background", background=0)) is None
    assert apply(rng, scene, EditRequest("move", circle, place=8)) is None
    assert apply(rng, scene, EditRequest("move", circle, place=0)) is None
    assert apply(rng, scene, EditRequest("move", circle, relation=1, anchor=Description(5))) is None
    assert apply(rng, scene, EditRequest("add", new=Description(1, 1), relation=1, anchor=Description(5))) is None
    with pytest.raises(DataError, match="must name the colour"):
        apply(rng, scene, EditRequest("add", new=Description(1)))
    with pytest.raises(DataError, match="Unknown kind of edit 'rotate'"):
        sample_edit(rng, "rotate")

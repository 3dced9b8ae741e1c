"""What a micro policy can do, measured on benchmark-split prompts by the scene parser.

A picture is right when the scene read from it satisfies every fact of its spec; a plan is judged by the same facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from PIL.Image import Image

from harness import seeds
from harness.models.base import Contexts, GenerationParams, Output, Request
from harness.models.micro import tokenizer
from harness.models.micro.context import pad_ids
from harness.models.micro.policy import MicroPolicy
from harness.world.edits import Edit, allowed_cells, sample_edit
from harness.world.grammar import STYLES, Spec, Style, corrupt, facts_of, holds, sample_spec, satisfies, wording
from harness.world.grammar.layout import try_layout
from harness.world.parse import perceive, scene_of
from harness.world.plan import diagnosis_from_words, plan_words, scene_from_plan
from harness.world.render import render
from harness.world.scene import Scene

Bools = npt.NDArray[np.bool_]

GENEVAL_TAGS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "single_object": ("single", (), ("colour", "size", "texture", "background")),
    "two_object": ("two", (), ("colour", "size", "texture", "background", "count")),
    "counting": ("count", (), ("colour", "size", "texture", "background", "relation", "negation")),
    "colors": ("single", ("colour",), ("size", "texture", "background")),
    "position": ("relation", (), ("colour", "size", "texture", "background", "count")),
    "color_attr": ("two", ("colour",), ("size", "texture", "background", "count")),
}
"""GenEval's tags as (kind, required features, forbidden features) of specs."""


@dataclass(frozen=True, slots=True)
class Case:
    """One prompt with a scene that fulfils it."""

    spec: Spec
    prompt: str
    scene: Scene


def cases(
    n: int,
    seed: int,
    *,
    kind: str | None = None,
    require: Sequence[str] = (),
    forbid: Sequence[str] = (),
    styles: Sequence[Style] = STYLES,
) -> list[Case]:
    """`n` benchmark-split cases, styles in turn."""
    rng = seeds.numpy_generator(seed, "pretrain-evaluation")
    found: list[Case] = []
    while len(found) < n:
        spec = sample_spec(rng, kind, split="bench", require=require, forbid=forbid)
        scene = try_layout(rng, spec)
        if scene is not None:
            found.append(Case(spec, wording(spec, rng, styles[len(found) % len(styles)]), scene))
    return found


def scenes_of(images: Sequence[Image | None]) -> list[Scene]:
    """The scenes that the parser reads from pictures (48x48 RGB)."""
    arrays = [np.asarray(image, dtype=np.uint8) for image in images if image is not None]
    return [scene_of(p) for p in perceive(np.stack(arrays))]


def draw_plans(policy: MicroPolicy, cases_: Sequence[Case], *, batch: int = 128) -> list[Image]:
    """Pictures drawn from each case's prompt and its true plan."""
    params = policy.resolve_params(GenerationParams())
    images: list[Image] = []
    for start in range(0, len(cases_), batch):
        part = cases_[start : start + batch]
        context = policy.extend(policy.context(len(part)), [c.prompt for c in part], kind="text")
        plans = pad_ids([tokenizer.encode_thought(plan_words(c.scene), "think") for c in part], policy.device)
        context = policy.extend(context, plans, kind="ids")
        noise = policy.initial_noise([seeds.derive("binding", start + i) for i in range(len(part))])
        images += policy.decode(policy.draw(Contexts(policy.detach(context)), noise, params))
    return images


@torch.no_grad()
def binding(policy: MicroPolicy, n: int, seed: int = 0) -> dict[str, float]:
    """The binding diagnostic: what of a true plan arrives in the picture.

    Returns:
        `found`: share of planned objects that stand in their planned cell; `colour`, `shape`, `size`: shares of the
        found ones that look as planned; `background`; `spurious`: unplanned objects per picture; `right_given_plan`:
        pictures that show all facts of the prompt.
    """
    chosen = cases(n, seed)
    seen = scenes_of(draw_plans(policy, chosen))
    planned = found = 0
    spurious = 0
    same = {"colour": 0, "shape": 0, "size": 0}
    for case, scene in zip(chosen, seen, strict=True):
        by_cell = {o.cell: o for o in scene.objects}
        hits = [(o, by_cell[o.cell]) for o in case.scene.objects if o.cell in by_cell]
        planned += len(case.scene.objects)
        found += len(hits)
        spurious += len(by_cell) - len(hits)
        for name in same:
            same[name] += sum(getattr(a, name) == getattr(b, name) for a, b in hits)
    backgrounds = [c.scene.background == s.background for c, s in zip(chosen, seen, strict=True)]
    return {
        "found": found / max(planned, 1),
        **{name: count / max(found, 1) for name, count in same.items()},
        "background": float(np.mean(backgrounds)),
        "spurious": spurious / n,
        "right_given_plan": float(np.mean([satisfies(s, c.spec) for s, c in zip(seen, chosen, strict=True)])),
    }


def _generate(policy: MicroPolicy, requests: Sequence[Request], *, batch: int = 128) -> list[Output]:
    outputs: list[Output] = []
    for start in range(0, len(requests), batch):
        outputs += policy.generate(requests[start : start + batch])
    return outputs


def _requests(cases_: Sequence[Case], *, think: bool) -> list[Request]:
    params = GenerationParams(think=think)
    return [
        Request(items=(c.prompt,), params=params, seed=seeds.for_sample(0, f"evaluation/{i}", 0))
        for i, c in enumerate(cases_)
    ]


def _right(outputs: Sequence[Output], cases_: Sequence[Case]) -> Bools:
    seen = scenes_of([o.image for o in outputs])
    return np.array([satisfies(scene, c.spec) for scene, c in zip(seen, cases_, strict=True)])


def text_to_image(policy: MicroPolicy, n: int, seed: int = 0) -> dict[str, float]:
    """Shares of right plans and pictures with thinking (overall, by kind, by style) and without."""
    chosen = cases(n, seed)
    outputs = _generate(policy, _requests(chosen, think=True))
    plans = [scene_from_plan(tokenizer.decode_words(o.token_ids)) for o in outputs]
    plan_right = np.array([p is not None and satisfies(p, c.spec) for p, c in zip(plans, chosen, strict=True)])
    right = _right(outputs, chosen)
    kinds = np.array([c.spec.kind for c in chosen])
    scores = {
        "all_right": float(right.mean()),
        "plan_right": float(plan_right.mean()),
        "plan_well_formed": float(np.mean([p is not None for p in plans])),
        "all_right_without_thinking": float(_right(_generate(policy, _requests(chosen, think=False)), chosen).mean()),
    }
    scores |= {f"kind/{kind}": float(right[kinds == kind].mean()) for kind in sorted(set(kinds))}
    return scores | {f"style/{s}": float(right[i :: len(STYLES)].mean()) for i, s in enumerate(STYLES)}


def geneval_tags(policy: MicroPolicy, n_per_tag: int, seed: int = 0) -> dict[str, float]:
    """Shares of correct pictures for GenEval's six tags, and their mean. Surplus objects count for `counting` only."""
    scores = {}
    for tag, (kind, require, forbid) in GENEVAL_TAGS.items():
        chosen = cases(n_per_tag, seed, kind=kind, require=require, forbid=forbid, styles=("photo",))
        seen = scenes_of([o.image for o in _generate(policy, _requests(chosen, think=True))])
        right = [
            satisfies(scene, c.spec) if tag == "counting" else _ignoring_surplus(scene, c.spec)
            for scene, c in zip(seen, chosen, strict=True)
        ]
        scores[tag] = float(np.mean(right))
    return {"overall": float(np.mean(list(scores.values()))), **scores}


def _ignoring_surplus(scene: Scene, spec: Spec) -> bool:
    for fact in facts_of(spec)[:-1]:
        if fact.kind == "relation":
            subjects = [o for o in scene.objects if fact.subject.matches(o)]
            others = [o for o in scene.objects if fact.other is not None and fact.other.matches(o)]
            pairs = [replace(scene, objects=(a, b)) for a in subjects for b in others if a is not b]
            ok = any(holds(pair, fact) for pair in pairs)
        elif fact.kind == "count":
            ok = sum(fact.subject.matches(o) for o in scene.objects) >= fact.value
        else:
            ok = holds(scene, fact)
        if not ok:
            return False
    return True


def editing(policy: MicroPolicy, n: int, seed: int = 0) -> dict[str, float]:
    """Shares of edits that were done, that kept the rest, and both; with a plan, and without one."""
    rng = seeds.numpy_generator(seed, "pretrain-evaluation-edits")
    edits = [sample_edit(rng, split="bench") for _ in range(n)]
    sources = [image_of(e.source, i) for i, e in enumerate(edits)]
    scores: dict[str, float] = {}
    for think in (True, False):
        requests = [
            Request(
                items=(source, e.instruction),
                mode="edit",
                params=GenerationParams(think=think),
                seed=seeds.for_sample(0, f"edit/{i}", 0),
            )
            for i, (source, e) in enumerate(zip(sources, edits, strict=True))
        ]
        seen = scenes_of([o.image for o in _generate(policy, requests)])
        right = np.array([edit_is_right(e, s) for e, s in zip(edits, seen, strict=True)])
        name = "think" if think else "plain"
        scores[name] = float(right.mean())
        kinds = np.array([e.request.kind for e in edits])
        scores |= {f"{name}/{kind}": float(right[kinds == kind].mean()) for kind in sorted(set(kinds))}
    return scores


def image_of(scene: Scene, seed: int) -> Image:
    """A rendered picture of `scene`."""
    from PIL import Image as PilImage

    return PilImage.fromarray(render([scene], [seed])[0])


def edit_is_right(edit: Edit, seen: Scene) -> bool:
    """Whether `seen` is one of the scenes that the edit allows: the change done, everything else as before."""
    request = edit.request
    free = {"move": ("cell",), "add": ("cell", "size")}.get(request.kind, ())
    wanted, found = set(edit.target.objects), set(seen.objects)
    if request.kind in ("move", "add"):
        changed = next(iter(wanted - set(edit.source.objects)))
        extra = found - (wanted - {changed})
        if len(extra) != 1 or len(found) != len(wanted):
            return False
        new = next(iter(extra))
        allowed = allowed_cells(edit.source, request)
        stays_free = new.cell in allowed
        same = all(
            getattr(new, f) == getattr(changed, f) for f in ("shape", "colour", "size", "texture") if f not in free
        )
        return same and stays_free and seen.background == edit.target.background
    return found == wanted and seen.background == edit.target.background


def reflection(policy: MicroPolicy, n: int, seed: int = 0) -> dict[str, float]:
    """Planted single errors repaired, right pictures kept right, and diagnoses that name the planted error."""
    chosen = cases(n, seed)
    rng = seeds.numpy_generator(seed, "pretrain-evaluation-reflect")
    scores = {}
    for planted in (True, False):
        shown = [corrupt(rng, c.scene, c.spec) if planted else (c.scene, "ok") for c in chosen]
        requests = [
            Request(
                items=(image_of(scene, i), c.prompt),
                mode="reflect",
                seed=seeds.for_sample(0, f"reflect/{i}", int(planted)),
            )
            for i, (c, (scene, _)) in enumerate(zip(chosen, shown, strict=True))
        ]
        outputs = _generate(policy, requests)
        named = [diagnosis_from_words(tokenizer.decode_words(o.token_ids)[:3]) for o in outputs]
        right = _right(outputs, chosen)
        scores["repaired" if planted else "kept"] = float(right.mean())
        share = np.mean([d == name for d, (_, name) in zip(named, shown, strict=True)])
        scores["error_named" if planted else "ok_named"] = float(share)
    return scores


def evaluate(policy: MicroPolicy, n: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """All measurements, each on `n` prompts (GenEval tags and reflection on a quarter, edits on half)."""
    return {
        "binding": binding(policy, n, seed),
        "text_to_image": text_to_image(policy, n, seed),
        "geneval_tags": geneval_tags(policy, max(n // 4, 1), seed),
        "editing": editing(policy, max(n // 2, 1), seed),
        "reflection": reflection(policy, max(n // 4, 1), seed),
    }

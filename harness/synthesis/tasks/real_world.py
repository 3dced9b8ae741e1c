"""Requests as designers get them: a poster, a label, a cover, with title, motifs and layout."""

from __future__ import annotations

from harness.synthesis import asking
from harness.synthesis.language import listed, with_article, without_article
from harness.synthesis.pairs import Maker
from harness.synthesis.scene import Asked
from harness.synthesis.tasks.lettering import lettered
from harness.synthesis.wording import fill

N_ELEMENTS = (2, 3, 4)
"""Motifs by difficulty."""


def build(maker: Maker) -> None:
    """Easy: title and two motifs. Medium: three, and a layout. Hard: four, layout, lettering, background and look."""
    scene, draw = maker.scene, maker.draw
    format_ = draw.choice(maker.pool.formats)
    subject = draw.choice(format_.subjects)
    title = draw.choice(subject.titles)
    elements = draw.sample(subject.elements, N_ELEMENTS[scene.level])
    design = with_article(format_.name)
    scene.design = format_.name
    scene.elements = elements
    named = [f"element:{without_article(e)}" for e in elements]
    scene.core = (named[0], f"title:{title}" if format_.has_title else named[1])
    scene.note(f"format:{format_.name}", f"topic:{subject.topic.partition(' ')[2]}", *named)
    scene.ask(Asked(f"Does the image look like {design}?", "Style", (format_.name,)))
    scene.ask(*(Asked(f"Is there {e} in the image?", "Existence", (e,)) for e in elements))
    scene.sentences.append(
        fill(maker.pool, draw, "design", design=design, topic=subject.topic, elements=listed(elements))
    )
    if format_.has_title:
        _title(maker, title, f"the {format_.name}")
    if scene.level:
        _spot(maker, elements)
        _background(maker)
    if scene.level == 2:
        _finish(maker)


def _title(maker: Maker, title: str, where: str) -> None:
    scene, draw = maker.scene, maker.draw
    scene.note(f"title:{title}")
    scene.lettering.append((where, title))
    scene.ask(*asking.lettering(title, "in the image"))
    if not scene.level:
        scene.sentences.append(fill(maker.pool, draw, "design_title_plain", title=title))
        return
    layout = draw.choice(maker.pool.design["layouts"])["phrase"]
    scene.note(f"layout:{layout}")
    scene.ask(Asked(f'Is the title "{title}" placed {layout}?', "Spatial", (title, layout)))
    if scene.level == 2:
        letters = lettered(maker, title)
        said = fill(maker.pool, draw, "design_title_lettered", title=title, where=layout, letters=letters)
    else:
        said = fill(maker.pool, draw, "design_title", title=title, where=layout)
    scene.sentences.append(said)


def _spot(maker: Maker, elements: list[str]) -> None:
    """Where one of the motifs is."""
    scene, draw = maker.scene, maker.draw
    element = f"the {without_article(draw.choice(elements))}"
    spot = draw.choice(maker.pool.design["spots"])
    scene.note(f"spot:{spot}")
    scene.ask(Asked(f"Is {element} placed {spot}?", "Spatial", (without_article(element), spot)))
    scene.sentences.append(fill(maker.pool, draw, "design_spot", the_element=element, spot=spot))


def _background(maker: Maker) -> None:
    scene, draw = maker.scene, maker.draw
    background = draw.choice(maker.pool.design["backgrounds"])
    scene.note(f"background:{without_article(background)}")
    scene.ask(Asked(f"Does the image have {background}?", "Attribute", (background,)))
    scene.sentences.append(fill(maker.pool, draw, "design_background", background=background))


def _finish(maker: Maker) -> None:
    scene, draw = maker.scene, maker.draw
    finish = draw.choice(maker.pool.design["finishes"])
    scene.note(f"finish:{finish}")
    scene.ask(Asked(f"Does the image have the look of {finish}?", "Style", (finish,)))
    scene.sentences.append(fill(maker.pool, draw, "design_finish", finish=finish))
    if draw.chance(60):
        audience = draw.choice(maker.pool.design["audiences"])
        scene.note(f"audience:{audience.removeprefix('for ')}")
        bare = audience.removeprefix("for ")
        scene.sentences.append(fill(maker.pool, draw, "design_audience", audience=audience, audience_bare=bare))

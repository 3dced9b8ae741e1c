"""Questions about drawn figures."""

import numpy as np
from matplotlib.text import Text
from PIL import Image


def artists(figure, gid):
    return [a for axes in figure.axes for a in axes.findobj(lambda a: a.get_gid() == gid)]


def is_blank(path):
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return bool((pixels == pixels[0, 0]).all())


def assert_inside(figure):
    """No text reaches beyond the figure, and no two texts of the same kind overlap."""
    renderer = figure.canvas.get_renderer()
    width, height = figure.bbox.width, figure.bbox.height
    boxes = []
    hidden = {id(t) for axes in figure.axes for t in _hidden_ticks(axes)}
    for text in figure.findobj(Text):
        if id(text) in hidden or not text.get_visible() or not text.get_text().strip():
            continue
        box = text.get_window_extent(renderer)
        assert box.x0 >= -0.5 and box.y0 >= -0.5 and box.x1 <= width + 0.5 and box.y1 <= height + 0.5, (
            f"{text.get_text()!r} at {box} is not inside {width} x {height}"
        )
        boxes.append((box, text))
    for i, (a, first) in enumerate(boxes):
        for b, second in boxes[:i]:
            across = min(a.x1, b.x1) - max(a.x0, b.x0)
            along = min(a.y1, b.y1) - max(a.y0, b.y0)
            assert across <= 1 or along <= 2, f"{first.get_text()!r} overlaps {second.get_text()!r}"


def _hidden_ticks(axes):
    """Tick labels beyond the limits, which matplotlib keeps and does not draw."""
    found = []
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, sorted(axes.get_ylim()))):
        for tick in axis.get_major_ticks():
            beyond = not min(low, high) <= tick.get_loc() <= max(low, high)
            found += [t for t in (tick.label1, tick.label2) if beyond or not t.get_visible()]
    return found

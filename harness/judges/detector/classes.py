"""Names of classes and colours, in the order of the detector's and the classifier's outputs.

Source: `prompts/object_names.txt` and `evaluation/evaluate_images.py` of djghosh13/geneval at af4902f2. Detector class
i is name i. Three names differ from COCO's (computer mouse, tv remote, computer keyboard), so names of another source
are matched by position, never by text.
"""

from __future__ import annotations

_NAMES = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,"
    "bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,"
    "skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,"
    "cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,dining table,toilet,tv,laptop,computer mouse,tv remote,computer keyboard,cell phone,microwave,"
    "oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)

CLASS_NAMES: tuple[str, ...] = tuple(_NAMES.split(","))
"""The 80 classes, by detector index."""

RENAMED = {"mouse": "computer mouse", "remote": "tv remote", "keyboard": "computer keyboard"}
"""COCO's name -> GenEval's."""

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
"""The classifier's ten answers, in order; the first of equal ones wins."""

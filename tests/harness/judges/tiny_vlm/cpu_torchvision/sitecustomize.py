"""Makes `import torchvision` work beside a CPU build of torch, for the processes of the test server only.

The public torchvision wheel is linked against CUDA libraries, so its compiled part cannot load and registering the
shapes of `torchvision::nms` fails for want of the operator's schema. Declaring the schema first is enough for all of
torchvision that is written in Python; the compiled operators still raise when called. Python imports this file by its
name at start, when its folder is on PYTHONPATH; vLLM starts several processes and each needs it.
"""

import importlib.abc
import importlib.util
import sys


class _DeclareSchemasFirst(importlib.abc.MetaPathFinder):
    library = None

    def find_spec(self, name, path=None, target=None):
        if name != "torchvision":
            return None
        sys.meta_path.remove(self)
        import torch

        if torch.version.cuda is None:
            library = torch.library.Library("torchvision", "DEF")
            for operator in ("nms", "qnms"):
                library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _DeclareSchemasFirst.library = library  # the schemas live as long as this object
        return importlib.util.find_spec(name)


sys.meta_path.insert(0, _DeclareSchemasFirst())

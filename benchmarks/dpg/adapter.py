"""The benchmark class; see the package docstring for what it measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from benchmarks.base import Benchmark, Imported, check_choices, check_positive, first_answer, why_missing
from benchmarks.dpg.data import PREFIX, item_of, mark_first_row, official_prompts
from benchmarks.dpg.graph import graph_order, nodes_of
from benchmarks.dpg.grid import GridFolder, checked, crop_of
from benchmarks.dpg.importer import Reference, import_results
from benchmarks.dpg.lock import Lock, shipped_lock
from benchmarks.dpg.scoring import CROP_METRIC, QUESTION_METRIC, grids_of
from benchmarks.dpg.summaries import Setup, summarise
from benchmarks.dpg.table import Table, read_table
from harness.errors import ConfigError
from harness.images import ImageRef
from harness.judges.base import JudgeRequest
from harness.registry import BENCHMARKS
from harness.types import Generation, Judgement, Prompt, Question, Score, Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class DPGOptions:
    """Options of DPG-Bench, `--set dpg.OPTION=VALUE`."""

    pic_num: int = 4
    """Images per prompt, 1 to 4. The official wrapper takes 4, the script's own default is 1."""
    layout: Literal["separate", "grid"] = "separate"
    """`separate`: every image is a file of its own, as the runner makes them. `grid`: `images:FOLDER` has upstream's
    layout, one picture `ID.EXT` per prompt with the `pic_num` images in it."""
    resolution: int | None = None
    """Width and height of one image in pixels. Needed for grids; for separate images it is checked where given."""
    allow_size_mismatch: bool = False
    """Cut grids of another size as upstream does (areas outside are black, the rest is lost) instead of refusing."""
    table: str = ""
    """Official edition: path of the question table; empty takes `DATA_DIR/dpg/dpg_bench.csv`."""
    n_prompts: int = 160
    """Micro edition: number of prompts."""
    prompt_seed: int = 0
    """Micro edition: seed of the prompts."""

    def __post_init__(self) -> None:
        check_choices("dpg", self, {"layout": ("separate", "grid")})
        if not 1 <= self.pic_num <= 4:
            raise ConfigError(f"dpg.pic_num: expected 1 to 4, got {self.pic_num}.")
        if self.resolution is not None and self.resolution < 1:
            raise ConfigError(f"dpg.resolution: expected a positive number of pixels, got {self.resolution}.")
        if self.layout == "grid" and self.resolution is None:
            raise ConfigError("dpg.layout=grid needs dpg.resolution, the width of one image in the grid.")
        check_positive("dpg", self, "n_prompts")


@BENCHMARKS.register("dpg")
class DPG(Benchmark):
    """DPG-Bench in the official or the micro edition; the package docstring has the details."""

    name: ClassVar[str] = "dpg"
    title: ClassVar[str] = "DPG-Bench"
    options_type: ClassVar[type] = DPGOptions
    value_range: ClassVar[tuple[float, float]] = (0.0, 100.0)
    details: ClassVar[tuple[str, ...]] = ("L2/", "raw/")

    options: DPGOptions

    @property
    def data_id(self) -> str:
        """Table and its hash: `dpg@...` official, `dpg-like@...` another table, `dpg-micro@...` generated."""
        if self.profile == "micro":
            from benchmarks.micro.dpg import data_id

            return data_id(self.options.n_prompts, self.options.prompt_seed)
        return self._table.data_id

    @property
    def samples_per_prompt(self) -> int:
        """`pic_num`: each image is judged as one crop."""
        return self.options.pic_num

    def prompts(self) -> list[Prompt]:
        """All prompts with their questions in `meta`, sorted by file name.

        Raises:
            DataError: the table or the prompts are missing, of another version, or irregular.
        """
        return list(self._micro if self.profile == "micro" else self._official)

    @property
    def _lock(self) -> Lock:
        return shipped_lock()

    @property
    def _root(self) -> Path:
        return (self.data_dir or Path("DATA_DIR")) / "dpg"

    @cached_property
    def _table_path(self) -> Path:
        return Path(self.options.table).expanduser() if self.options.table else self._root / self._lock.table

    @cached_property
    def _table(self) -> Table:
        return read_table(self._table_path, self.protocol, self._lock)

    @cached_property
    def _official(self) -> list[Prompt]:
        return official_prompts(self._root, self._table, self._lock)

    @cached_property
    def _micro(self) -> list[Prompt]:
        from benchmarks.micro.dpg import prompts

        made = mark_first_row(list(prompts(self.options.n_prompts, self.options.prompt_seed)))
        for prompt in made:
            graph_order(nodes_of(prompt.meta["questions"], prompt.id), prompt.id)
        return made

    @cached_property
    def _folders(self) -> dict[Path, GridFolder]:
        return {}

    def requests(self, prompt: Prompt, generation: Generation, images: Sequence[ImageRef]) -> list[JudgeRequest]:
        """One `yesno` request of form `dpg`: the sample as one crop, with every question of the prompt.

        The first row of the table is asked too, so that both protocols come from the same judgements.
        """
        questions = tuple(
            Question(id=f"{QUESTION_METRIC}{n.number}", text=n.text, tag=n.category)
            for n in nodes_of(prompt.meta["questions"], prompt.id)
        )
        crop = self._crop(prompt, generation.key.index, images[0])
        return [JudgeRequest(kind="yesno", form="dpg", questions=questions, images=(crop,))]

    def _crop(self, prompt: Prompt, index: int, image: ImageRef) -> ImageRef:
        options = self.options
        if options.resolution is None:
            return image
        if options.layout == "separate":
            return (
                image if options.allow_size_mismatch else checked(image, resolution=options.resolution, where=prompt.id)
            )
        if index >= options.pic_num:
            raise ConfigError(f"dpg: image {index} asked of a grid with dpg.pic_num={options.pic_num}.")
        return crop_of(
            image,
            index,
            pic_num=options.pic_num,
            resolution=options.resolution,
            allow_size_mismatch=options.allow_size_mismatch,
            where=prompt.id,
        )

    def score(self, prompt: Prompt, generation: Generation, verdicts: Sequence[Judgement]) -> list[Score]:
        """`question/N` for each question, unfiltered: 1.0 where P(yes) > 0.5, else 0.0; None without an answer."""
        answers: dict[str, list[Judgement]] = {}
        for verdict in verdicts:
            answers.setdefault(verdict.question_id, []).append(verdict)
        found = []
        for node in nodes_of(prompt.meta["questions"], prompt.id):
            metric = f"{QUESTION_METRIC}{node.number}"
            given = answers.get(metric, [])
            answer = first_answer(given)
            if answer is None or answer.value is None:
                reason = why_missing(generation, given)
                found.append(Score(key=generation.key, metric=metric, value=None, reason=reason))
            else:
                found.append(Score(key=generation.key, metric=metric, value=float(answer.value > 0.5)))
        return found

    def aggregate(self, prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> list[Summary]:
        """The table, `overall` first; see `summaries.summarise`.

        Raises:
            DataError: scores of unknown prompts or questions, or crop scores under `corrected`.
        """
        nodes = {p.id: nodes_of(p.meta.get("questions", ()), p.id) for p in prompts.values()}
        grids = grids_of(prompts, nodes, scores, self.protocol)
        crops = {s.key.index for s in scores}
        n_dropped = int(
            f"{PREFIX}{self._first_row_item()}" not in prompts and any(s.metric == CROP_METRIC for s in scores)
        )
        setup = Setup(
            n_expected=self._n_expected() - n_dropped,
            pic_num=max(crops) + 1 if crops else self.options.pic_num,
            resolution=self.options.resolution,
        )
        return summarise(grids, self.protocol, setup)

    def _n_expected(self) -> int:
        if self.profile == "micro":
            return len(self._micro)
        return len(self._table.questions) if self._table_path.is_file() else self._lock.n_prompts

    def _first_row_item(self) -> str:
        if self.profile == "micro":
            return item_of(self._micro[0].id)
        return self._table.first_row_item if self._table_path.is_file() else self._lock.first_row_prompt

    def find_image(self, root: Path, prompt: Prompt, index: int) -> Path | None:
        """The picture `ID.EXT`: for a grid that of every sample, else that of sample 0 where `pic_num` is 1."""
        if self.options.layout == "separate" and (self.options.pic_num > 1 or index > 0):
            return None
        root = root.resolve()
        if root not in self._folders:
            self._folders[root] = GridFolder(root)
        return self._folders[root].find(item_of(prompt.id))

    def import_results(self, source: Path) -> dict[str, Imported]:
        """Official result and detail files, see `importer`."""
        return import_results(source, self._reference)

    def _reference(self) -> Reference:
        table = self._table if self._table_path.is_file() else None
        prompts = None
        if table is not None:
            prompts = {
                PREFIX + item: Prompt(id=PREFIX + item, text=table.texts[item], meta={"questions": questions})
                for item, questions in table.questions.items()
            }
        data_id = table.data_id if table is not None else "dpg"
        return Reference(
            prompts=prompts,
            data_id=data_id,
            first_row_item=self._first_row_item(),
            protocol=self.protocol,
            lock=self._lock,
        )

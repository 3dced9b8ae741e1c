"""The texts of an upstream folder (one file per prompt) as one JSONL file, which is what the lock pins."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.data.lock import Collection, sha256
from benchmarks.data.places import Place
from benchmarks.dpg.data import prompts_jsonl
from harness.errors import DataError


def collect(collection: Collection, places: Sequence[Place]) -> tuple[bytes | None, str]:
    """(content of the JSONL file, problem) from the file itself or from the folder of texts.

    The content is None when neither is there, or when what is there differs; then `problem` says so.

    Raises:
        DataError: a text is not UTF-8, or an archive is damaged.
    """
    problem = ""
    for place in places:
        for candidate in place.candidates([collection.name]):
            data = candidate.read()
            if sha256(data) == collection.sha256:
                return data, ""
            problem = f"{candidate.where}: sha256 {sha256(data)}, expected {collection.sha256}."
    for place in places:
        texts = place.texts_below(collection.folder, ".txt")
        if texts:
            data = prompts_jsonl(_decoded(texts, place))
            if sha256(data) == collection.sha256:
                return data, ""
            problem = _difference(collection, texts, place)
    return None, problem


def _decoded(texts: dict[str, bytes], place: Place) -> dict[str, str]:
    found = {}
    for name, data in texts.items():
        try:
            found[name.removesuffix(".txt")] = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{place.root}: {name}: not UTF-8 text ({error}).") from None
    return found


def _difference(collection: Collection, texts: dict[str, bytes], place: Place) -> str:
    where = f"{place.root}: {collection.folder}"
    plain = {name: data.replace(b"\r\n", b"\n") for name, data in texts.items()}
    if plain != texts and sha256(prompts_jsonl(_decoded(plain, place))) == collection.sha256:
        return f"{where}: the texts have CRLF line ends; check them out with `git -c core.autocrlf=false`."
    found = sha256(prompts_jsonl(_decoded(texts, place)))
    return (
        f"{where}: {len(texts):,} texts with sha256 {found}, expected {collection.files:,} with {collection.sha256} "
        "(of all of them as JSONL)."
    )

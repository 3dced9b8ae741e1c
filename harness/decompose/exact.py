"""The decomposer `micro`: the world's grammar reads the prompt and says what it entails. No model, no randomness."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.decompose.micro import quality_questions, semantic_questions
from harness.decompose.outcome import Decomposer, Outcome
from harness.decompose.reading import NotUnderstood, spec_of


class MicroDecomposer(Decomposer):
    """Exact questions for prompts of the micro world."""

    @property
    def fingerprint(self) -> str:
        """The world's version."""
        from harness.world.version import world_version

        return f"micro-{world_version()}"

    def run(self, texts: Sequence[str], done: Callable[[Outcome], None]) -> None:
        """Reads each text; one that is not of the grammar is rejected with the place where reading stopped."""
        for text in texts:
            done(self._outcome(text))

    def _outcome(self, text: str) -> Outcome:
        try:
            spec = spec_of(text)
        except NotUnderstood as error:
            return Outcome(id=self.key(text), status="rejected", reason=f"not a prompt of the micro world: {error}")
        return Outcome(id=self.key(text), status="ok", semantic=semantic_questions(spec), quality=quality_questions())

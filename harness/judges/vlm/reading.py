"""How P(yes) is asked for and read: by token id where the server can, by the most probable tokens elsewhere."""

from __future__ import annotations

from typing import Any

from harness.errors import JudgeError
from harness.judges.vlm import completion as completions
from harness.judges.vlm.completion import Completion
from harness.judges.vlm.servertokens import server_tokens
from harness.judges.vlm.target import Target
from harness.judges.vlm.transport import CallFailed, Transport
from harness.judges.vlm.yesno import YesNo, YesNoTokens

OFFICIAL_TOP_P = 0.9
OFFICIAL_MAX_TOKENS = 10
OFFICIAL_TOP_K = 5
"""How the published DVReward code asks."""


class YesNoReading:
    """The fields of a yes/no request, and the value in its reply.

    Args:
        target: model and settings.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.tokens: YesNoTokens | None = None
        """Ids of yes and no, once the server has told them; None where it does not."""

    @property
    def is_official(self) -> bool:
        """Asked and read as the published DVReward code does."""
        return self._target.settings.p_yes == "official_code"

    @property
    def top_k(self) -> int:
        """Candidates asked for where ids are not known."""
        return OFFICIAL_TOP_K if self.is_official else self._target.settings.top_k

    async def find_tokens(self, transport: Transport) -> None:
        """Learns the ids from a vLLM server.

        Raises:
            JudgeError: `p_yes=token_ids` was asked for and the server does not tell them.
        """
        wanted = self._target.settings.p_yes
        if wanted not in ("auto", "token_ids"):
            return

        async def post(path: str, body: dict[str, Any]) -> Any:
            return (await transport.post(transport.server_path(path), body)).data

        try:
            version = await transport.get(transport.server_path("/version"))
            is_vllm = isinstance(version, dict) and "version" in version
        except CallFailed:
            is_vllm = False
        self.tokens = await server_tokens(post, self._target.model) if is_vllm else None
        if self.tokens is None and wanted == "token_ids":
            raise JudgeError(
                f"Judge {self._target.model} at {self._target.base_url}: p_yes=token_ids needs a vLLM server with "
                "/version, /tokenize and /detokenize. Use p_yes=top_k for other servers."
            )

    def body(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """The request about one question."""
        wanted = completions.by_ids(self.tokens) if self.tokens else completions.by_top(self.top_k)
        return completions.chat_body(
            self._target.model,
            messages,
            max_tokens=OFFICIAL_MAX_TOKENS if self.is_official else 1,
            temperature=0.0,
            top_p=OFFICIAL_TOP_P if self.is_official else 1.0,
            extra={**self._target.preset.extra, **wanted},
        )

    def value(self, completion: Completion) -> YesNo:
        """The value in the reply; raises BadReplyError."""
        if self.tokens is not None:
            return completions.yes_no_by_ids(completion, self.tokens)
        return completions.yes_no_by_top(completion, self.top_k, official_code=self.is_official)

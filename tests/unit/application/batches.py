"""A use case for group commits to run, and chance without jitter."""

import asyncio
from collections.abc import Callable, Sequence

from tallystick.application.group_commit import GroupCommit
from tallystick.application.idempotency import Replayed
from tallystick.domain.refusals import Refusal

Open = Callable[..., GroupCommit[str, str]]


class No(Refusal):
    code = "NO"


class NoPause:
    """Chance without jitter: a retry comes at once."""

    def bytes(self, count: int) -> bytes:
        return bytes(count)

    def fraction(self) -> float:
        return 0.0


class ScriptedUseCase:
    """A batch use case that records its batches, waits at a gate, and fails as a test wants it to."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.running = 0
        self.most_running = 0
        self.failures: list[Exception] = []
        self.poison: dict[str, Exception] = {}
        self.refusals: dict[str, Refusal] = {}
        self.replays: dict[str, Replayed] = {}
        self.before: Callable[[Sequence[str]], None] | None = None
        """Called once, at the start of the second batch."""

    async def __call__(self, commands: Sequence[str]) -> list[str | Exception]:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            self.batches.append(list(commands))
            await self.gate.wait()
            if self.before is not None and len(self.batches) > 1:
                before, self.before = self.before, None
                before(commands)
            if self.failures:
                raise self.failures.pop(0)
            for command in commands:
                if command in self.poison:
                    raise self.poison[command]
            answers = self.refusals | self.replays
            return [answers.get(command, f"did {command}") for command in commands]
        finally:
            self.running -= 1


async def until_idle() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)

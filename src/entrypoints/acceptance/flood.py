"""The enumeration probe: how far a stranger gets who guesses codes as fast as the server answers."""

from collections import Counter
from collections.abc import Callable
from http import HTTPStatus

import msgspec

from tallystick.application.ports import Randomness
from tallystick.domain.codes import draw_candidates
from tallystick.entrypoints.acceptance.boundary_checks import shape_of
from tallystick.entrypoints.acceptance.outside import Answer, Outside, Unusable, together

_AT_ONCE = 100
"""How many guesses are prepared at a time."""


class Flood(msgspec.Struct, frozen=True):
    """The answers to the guesses of one run."""

    guesses: int
    answered: int
    """Guesses that were answered with 200, which is what a stranger learns from."""
    found: int
    """Guesses that are codes of users."""
    refused: int
    """Guesses that were refused with 429 and a time."""
    others: dict[str, int]
    """All other answers, by their status; `none` where no answer came."""
    shapes: int
    """Different answers by status, length and headers, among those with 200: more than one tells codes apart."""

    @property
    def faults(self) -> list[str]:
        """Sentences about what is wrong; none where the server holds."""
        faults = []
        if not self.refused:
            faults.append(f"none of {self.guesses:,} guesses was refused: no rate limit counts them")
        if self.shapes > 1:
            faults.append(f"answers have {self.shapes} shapes: a stranger can tell codes apart without reading them")
        faults += [f"{number:,} guesses got {status}" for status, number in self.others.items()]
        return faults


async def flood(outside: Outside, randomness: Randomness, guesses: int, progress: Callable[[float], None]) -> Flood:
    """Guess so many codes, 32 at a time. Each is drawn as the server draws its codes."""
    answers: list[Answer] = []
    lost = 0

    async def guess(code: str) -> Answer | None:
        try:
            return await outside.ask("GET", f"/api/referral/resolve?code={code}")
        except Unusable:
            return None

    for done in range(0, guesses, _AT_ONCE):
        number = min(_AT_ONCE, guesses - done)
        found = await together(guess(draw_candidates(randomness.bytes)[0]) for _ in range(number))
        answers += [answer for answer in found if answer is not None]
        lost += found.count(None)
        progress(done + number)
    answered = [answer for answer in answers if answer.is_ok]
    refused = [answer for answer in answers if _is_refused(answer)]
    others = Counter(str(answer.status) for answer in answers if not answer.is_ok and not _is_refused(answer))
    if lost:
        others["none"] = lost
    return Flood(
        guesses=guesses,
        answered=len(answered),
        found=sum(b'"valid":true' in answer.content for answer in answered),
        refused=len(refused),
        others=dict(others),
        shapes=len({shape_of(answer) for answer in answered}),
    )


def _is_refused(answer: Answer) -> bool:
    return answer.status == HTTPStatus.TOO_MANY_REQUESTS and "retry-after" in answer.headers

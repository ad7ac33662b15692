"""The exit statuses of every command."""

from collections.abc import Mapping
from enum import IntEnum


class ExitStatus(IntEnum):
    """How a command ends."""

    DONE = 0
    NO = 1
    WRONG = 2
    UNDECIDED = 3
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: Mapping[ExitStatus, str] = {
    ExitStatus.DONE: "done; the answer to a question is yes",
    ExitStatus.NO: "the answer is no; or the command was refused, failed, or was done in part: the message says why",
    ExitStatus.WRONG: "the command or a setting is wrong; nothing was done",
    ExitStatus.UNDECIDED: "backfill plan: several users claim a code, and a missing time leaves open who had it first",
    ExitStatus.INTERRUPTED: "interrupted by Ctrl-C; completed work is kept",
    ExitStatus.TERMINATED: "ended by SIGTERM; serve ends with 0 when it has answered the running requests",
}
"""Each status as `tallystick --help` and docs/operations.md explain it."""

"""Any source: the result of the SQL is that of the rule, which is written once more in plain Python."""

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import pytest

from tallystick.domain.codes import normal_form
from tests.worlds.moving import Moving, a_user

SEEDS = int(os.environ.get("TALLYSTICK_TEST_BACKFILLS", "5"))  # `make storm` takes more
CODES = (
    *("AAAA1111", "aaaa-1111", " aaaa 1111 ", "OOOO0000", "0000OOOO", "IIII1111", "1234", "123", "A" * 32, "A" * 64),
    *("", "   ", "ß", "bbbb2222", "BBBB2222", "b-b-b-b-2-2-2-2", "CCCC3333", "cccc3333", "DDDD4444", "EEEE5555"),
)
Line = Mapping[str, object]


def lines_of(chance: random.Random) -> Iterator[Line]:
    """Draw a messy source: few users and few codes, so that they meet often."""
    for _ in range(chance.randrange(1, 60)):
        yield a_user(
            f"user{chance.randrange(25):02}",
            chance.choice([*CODES, None]),
            day=chance.randrange(40),
            **({"referred_by": f"user{chance.randrange(30):02}"} if chance.random() < 0.3 else {}),
        )


class Model:
    """The result of a source, by the rule."""

    def __init__(self, lines: Sequence[Line], held: Mapping[str, str], canonical: Mapping[str, str]) -> None:
        grouped: dict[str, list[tuple[datetime, int, str | None]]] = {}
        for number, line in enumerate(lines):
            code = normal_form(str(line["code"])) if line["code"] is not None else None
            at = datetime.fromisoformat(str(line["created_at"]))
            grouped.setdefault(str(line["user_id"]), []).append((at, number, code))
        came = {user: min(at for at, _, _ in mine) for user, mine in grouped.items()}
        newest_first = {
            user: [code for _, _, code in sorted(mine, reverse=True) if code] for user, mine in grouped.items()
        }
        claims = {user: list(dict.fromkeys(codes)) for user, codes in newest_first.items()}
        keepers: dict[str, str] = {}
        for user in sorted(claims, key=lambda user: (came[user], user)):
            for claimed in claims[user]:
                keepers.setdefault(claimed, user)
        self.users = set(grouped)
        self.owners = {**keepers, **held}
        """The user of each code in the end."""
        self.conflicts = {(code, user) for user, codes in claims.items() for code in codes if self.owners[code] != user}
        self.canonical = {
            user: canonical.get(user) or (codes[0] if codes and self.owners[codes[0]] == user else None)
            for user, codes in claims.items()
        }
        """The canonical code of each user; None for those who get a new one."""


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_its_result_is_that_of_the_rule(moving: Moving, seed: int) -> None:
    chance = random.Random(seed)
    lines = list(lines_of(chance))
    held, canonical = dict[str, str](), dict[str, str]()
    for user, code in (("user01", "AAAA1111"), ("user02", "HERE1111"), ("stranger", "CCCC3333"))[: chance.randrange(4)]:
        await moving.world.mint(user, candidates=[code] * 8)
        held[code], canonical[user] = user, code
    model = Model(lines, held, canonical)

    run = await moving.move_in(*lines, chunk=chance.randrange(1, 12))

    codes = await moving.codes()
    fresh = {code: user for code, (user, is_canonical) in codes.items() if code not in model.owners and is_canonical}
    assert {code: user for code, (user, _) in codes.items() if code not in fresh} == model.owners
    assert {user: code for code, (user, is_canonical) in codes.items() if is_canonical and user in model.users} == {
        user: code or next(new for new, owner in fresh.items() if owner == user)
        for user, code in model.canonical.items()
    }
    assert {(code, user) for code, user, _, _ in await moving.conflicts()} == model.conflicts
    report = await moving.verify(run)
    assert report.holds, report
    done = await moving.done(run)
    assert (done.kept, done.reminted, done.minted) == (run.plan.kept, run.plan.reminted, run.plan.minted)
    assert (done.users, done.aliases, done.edges) == (
        run.plan.users - run.plan.users_here,
        run.plan.aliases,
        run.plan.edges.rows,
    )
    assert await moving.world.broken_promises() == []

    await moving.roll_back(run)

    assert {code: user for code, (user, _) in (await moving.codes()).items()} == held

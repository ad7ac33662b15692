"""The page about the data of deleted users, rendered from the dispositions.

`.venv/bin/python -m tests.pages.privacy` writes `docs/privacy.md` anew.
"""

from collections.abc import Iterator, Mapping

from tallystick.domain.dispositions import DISPOSITIONS, TABLES_WITHOUT_USERS, WITHDRAWN, Disposition
from tests.pages.files import DOCS, write

PAGE = DOCS / "privacy.md"

OPENING = """\
# Privacy: what deletion deletes

A user is deleted by the identity provider's webhook (`user.deleted`), by `DELETE /api/admin/users/{user_id}` with the
permission `admin:users`, or by `tallystick users delete`. All three have the same effect, for good: no user can come
back under the same id. You can also delete a user whom a backfill staged, and a user who was given something but never
signed up.

A deletion is answered when one small transaction is committed. It marks the user as deleted and removes profile and
password. From then on:

- The user's tokens are refused with 410 `USER_DELETED`, also at sign-up.
- A later webhook delivery does not bring the user back.
- The user's codes, canonical code and aliases, resolve to nobody.
- The user's rewards cannot be bought and are not listed. Users who bought one keep it.
- The user's invites stay valid, because others hold them. `POST /api/invites/{invite_id}/revoke` revokes one.
- The user's pending accruals stay, and are not credited.

The other rows of the user are erased in steps after that transaction: aliases are retired, rewards lose name and
description, stored replies are removed. A step erases at most 1,000 rows of each table, in a transaction of its own.
The deletion runs the first step, and for nearly every user the first step is the last one. `tallystick users delete`
runs all steps before it ends. After a deletion by API or webhook, the servers run the other steps within minutes, on
any instance, and continue after a crash. The gauge `tallystick_pending_erasures` shows how many users still have rows
to erase, and `tallystick_pending_erasures_oldest_seconds` shows how long the first of them has waited. Both are 0 when
all rows are erased.

Every column that belongs to a user has one of three dispositions. *delete*: the value or its row is removed.
*anonymise*: a neutral value replaces it. *keep*: it stays, for the reason given.
"""

END = """\
A request that is answered while its caller is being deleted may leave a stored reply behind, or a reward of a user
who had never signed up. Every server looks for such rows once a minute, for a quarter of an hour after each deletion.
Deleting the user again removes such rows too.

Events of channels are deleted after `TALLYSTICK_EVENT_RETENTION_DAYS`, and messages, with their texts, senders and
times, after `TALLYSTICK_MESSAGE_RETENTION_DAYS` if it is set, at most an hour late.

Let backups and the logs of proxies expire: Tallystick does not control
them. Tallystick's own logs name users only by keyed hashes.

A deletion does not search two kinds of text: ids, which come from the identity provider and should not name a person,
and the reasons that staff write into the ledger, which cannot be changed afterwards.
"""


def render() -> str:
    """Return the page."""
    return "\n".join(_parts())


def _parts() -> Iterator[str]:
    yield OPENING
    for table, columns in DISPOSITIONS.items():
        yield f"## `{table}`\n"
        yield "".join(("| columns | become | why |\n", "| --- | --- | --- |\n", *_rows(columns)))
    yield "## Tables about nobody\n"
    yield "".join(f"- `{table}`: {holds}.\n" for table, holds in TABLES_WITHOUT_USERS.items())
    yield "## What to know\n"
    yield END.rstrip("\n") + "\n"


def _rows(columns: Mapping[str, Disposition]) -> Iterator[str]:
    """Yield a row for each disposition, with the columns that share it."""
    for disposition in dict.fromkeys(columns.values()):
        names = ", ".join(f"`{name}`" for name, each in columns.items() if each == disposition)
        why = disposition.reason or (f"becomes `{WITHDRAWN}`" if disposition.becomes == "anonymise" else "")
        yield f"| {names} | {disposition.becomes} | {why} |\n"


if __name__ == "__main__":
    write(PAGE, render())

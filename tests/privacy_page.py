"""The page that says what becomes of a deleted user's data, rendered from the dispositions themselves.

`.venv/bin/python -m tests.privacy_page > docs/privacy.md` writes it anew.
"""

import sys
from collections.abc import Iterator, Mapping

from tallystick.domain.dispositions import ABOUT_NOBODY, DISPOSITIONS, WITHDRAWN, Disposition

OPENING = """\
# Privacy: what deletion deletes

A user is deleted by the identity provider's webhook (`user.deleted`), by `DELETE /api/admin/users/{user_id}` with the
permission `admin:users`, or by `tallystick users delete`. All three do the same, and for good: nobody comes back under
the same id. A user whom a backfill staged, or who was given something and never came, can be deleted too.

A deletion is answered when one small transaction is committed. It marks the user as deleted and removes profile and
password. From then on the user's tokens are refused with 410 `USER_DELETED`, also on sign-up and on every webhook that
would bring the user back; their codes, canonical code and aliases, resolve to nobody; and their rewards cannot be
bought and are not listed. A user who bought one keeps it. Invites that the user made stay valid: others hold them, and
`POST /api/invites/{invite_id}/revoke` takes one back. Points that waited for the user go on waiting.

What one user may hold many of is erased behind that transaction: aliases are retired, rewards lose their name and
description, stored replies are removed. This is done in steps of at most 1,000 rows of each table, each step a
transaction of its own. The first step belongs to the deletion, and for nearly every user it is the last one.
`tallystick users delete` makes all steps before it ends. After a deletion by API or webhook the servers make the others
within minutes, whichever instance comes first, and go on where a crash stopped them. The gauges `pending_erasures` and
`pending_erasures_oldest_seconds` show how many users still have rows to erase and for how long the first has waited;
both are 0 when all is done.

Every column that belongs to a user has one of three dispositions. *delete*: the value is gone, or its row is.
*anonymise*: something neutral stands in its place. *keep*: it stays, for the reason given.
"""

END = """\
A request that is answered while its caller is being deleted may leave a stored reply behind, or a reward of a user
who had never come. Every server looks for such rows once a minute, for a quarter of an hour after each deletion, and
deleting the user again does so too. Backups, and the logs of proxies, are yours to let expire: Tallystick's own logs
name users by keyed hashes only.

Two kinds of text are not looked into: ids, which are the identity provider's and should name nobody, and the reasons
that staff write into the books, which cannot be changed afterwards.
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
    yield "".join(f"- `{table}`: {holds}.\n" for table, holds in ABOUT_NOBODY.items())
    yield "## What to know\n"
    yield END.rstrip("\n") + "\n"


def _rows(columns: Mapping[str, Disposition]) -> Iterator[str]:
    """Yield a row for each disposition, with the columns that share it."""
    for disposition in dict.fromkeys(columns.values()):
        names = ", ".join(f"`{name}`" for name, each in columns.items() if each == disposition)
        why = disposition.reason or (f"becomes `{WITHDRAWN}`" if disposition.becomes == "anonymise" else "")
        yield f"| {names} | {disposition.becomes} | {why} |\n"


if __name__ == "__main__":
    sys.stdout.write(render())

"""The version after this one: the same sources with a further migration, which older servers can bear."""

import json
from pathlib import Path

from tests.processes.releases import Version, keep, unpacked

MIGRATION_FILE = "9999_words.sql"
MIGRATION = """-- Words of users.

-- kind: before
-- locks: users ACCESS EXCLUSIVE
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';
ALTER TABLE tallystick.users ADD COLUMN word text NOT NULL DEFAULT 'a word';

-- migrate:down
ALTER TABLE tallystick.users DROP COLUMN word;
"""


def next_version(folder: Path) -> Version:
    """Return the next version, kept as a release and unpacked in a folder."""
    keep(folder / "next.tar.xz")
    version = unpacked(folder / "next.tar.xz", folder / "next")
    postgres = version.folder / "tallystick/adapters/postgres"
    (postgres / "migrations" / MIGRATION_FILE).write_text(MIGRATION, encoding="utf-8")
    path = postgres / "contract/manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["users"]["column word"] = "text NOT NULL DEFAULT 'a word'::text"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return version

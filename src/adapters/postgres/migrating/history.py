"""The migrations of a database, compared with those of this version."""

from collections.abc import Mapping, Sequence

import msgspec

from tallystick.adapters.postgres.migrating.migration_files import Migration


class History(msgspec.Struct, frozen=True):
    """How the migrations that were applied differ from those of this version."""

    missing: list[str]
    waiting: list[str]
    """Versions that may be missing: they run once no server of the previous version is left."""
    unknown: list[str]
    """Versions that this version should know and does not: the numbers of its own migrations go on behind them."""
    changed: list[str]
    newer: list[str]
    """Versions after the newest that this version knows."""

    @property
    def faults(self) -> list[str]:
        """The reasons for which this version must not serve, whatever the schema is."""
        return [
            *([f"migrations are missing: {', '.join(self.missing)}; run 'tallystick migrate'"] if self.missing else ()),
            *([f"migrations ran that this version lacks: {', '.join(self.unknown)}"] if self.unknown else ()),
            *([f"migrations differ from the ones that ran: {', '.join(self.changed)}"] if self.changed else ()),
        ]

    @property
    def notes(self) -> list[str]:
        """Sentences for the operator of a server that may serve."""
        return [
            *([f"the database is newer than this version: {', '.join(self.newer)}"] if self.newer else ()),
            *([f"migrations wait until no older server is left: {', '.join(self.waiting)}"] if self.waiting else ()),
        ]


def compare_history(applied: Mapping[str, str], migrations: Sequence[Migration]) -> History:
    """Compare the checksums of applied migrations, by version, with the migrations of this version."""
    expected = {migration.version: {migration.checksum, *migration.former_checksums} for migration in migrations}
    newest = max(expected, default="")
    unknown = sorted(set(applied) - set(expected))
    lacking = [migration for migration in migrations if migration.version not in applied]
    # On an empty database no server can be older.
    waiting = [migration.version for migration in lacking if migration.kind == "after" and applied]
    return History(
        missing=[migration.version for migration in lacking if migration.version not in waiting],
        waiting=waiting,
        unknown=[version for version in unknown if version < newest],
        changed=sorted(v for v in expected if v in applied and applied[v] not in expected[v]),
        newer=[version for version in unknown if version > newest],
    )

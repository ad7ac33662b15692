"""Opening a source by its address, with the options of a plan."""

from pathlib import Path

from tallystick.adapters.legacy.database import SupabaseSource
from tallystick.adapters.legacy.files import FileFormat, FileSource
from tallystick.adapters.legacy.sources import read_mapping
from tallystick.domain.backfill import Options, SourceKind
from tallystick.domain.legacy import AbsentWords
from tallystick.domain.legacy_sources import LegacySource

_SCHEMES = ("postgres://", "postgresql://")


def kind_of(address: str, file_format: FileFormat | None) -> SourceKind:
    """Return the kind of a source: a database by its scheme, a file by its format or its name."""
    if address.startswith(_SCHEMES):
        return "supabase"
    return file_format or ("csv" if Path(address).suffix.lower() == ".csv" else "jsonl")


def open_source(address: str, options: Options) -> LegacySource:
    """Return the source at an address; nothing is read yet. ValueError if the options name an unknown column."""
    absent = AbsentWords(options.absent_words)
    if options.kind == "supabase":
        return SupabaseSource(address, options.metadata_field, absent)
    names = read_mapping(tuple(f"{ours}={theirs}" for ours, theirs in options.names.items()))
    return FileSource(Path(address), options.kind, names, absent)

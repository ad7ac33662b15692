"""Secrets that are generated once and kept in files of the data directory."""

import os
import tempfile
from pathlib import Path


def kept_secret(path: Path, fresh: str) -> str:
    """Return the secret in the file; where there is none, store the fresh one, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    if path.exists() and (kept := path.read_text(encoding="ascii").strip()):
        return kept
    path.unlink(missing_ok=True)
    # The file appears whole: a process that starts at the same time finds no file, or a whole secret.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, encoding="ascii") as file:
        file.write(fresh)
        file.flush()
        os.fsync(file.fileno())
        try:
            os.link(file.name, path)
        except FileExistsError:
            return path.read_text(encoding="ascii").strip()
    return fresh

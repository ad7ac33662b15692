"""Leave names, versions and hashes in a lock file of npm: `python tools/node/bare_lock.py package-lock.json`."""

import json
import sys
from pathlib import Path

KEPT = {
    *("name", "version", "integrity", "dependencies", "optionalDependencies", "peerDependencies", "engines"),
    *("peerDependenciesMeta", "bin", "dev", "optional", "peer", "devOptional", "os", "cpu", "libc", "hasInstallScript"),
}
"""The members of a package that an installation reads; addresses are none of them."""


def main(path: Path) -> None:
    """Rewrite a lock file. LookupError for a package without a hash: nothing could prove what is installed."""
    lock = json.loads(path.read_text(encoding="utf-8"))
    for name, package in lock["packages"].items():
        for member in set(package) - KEPT:
            del package[member]
        if name and "integrity" not in package:
            raise LookupError(f"{name} has no integrity")
    path.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

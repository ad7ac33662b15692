"""The limit of open files of this process: each connection is one of them."""

import contextlib
import resource


def raise_open_files() -> int:
    """Raise the limit of open files to the hard one where the system lets us, and return the limit that holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # Where the hard limit is infinite, a system may still refuse more than a bound of its own.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return open_files()


def open_files() -> int:
    """Return the limit of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNBOUNDED if soft == resource.RLIM_INFINITY else soft


_UNBOUNDED = 2**31 - 1

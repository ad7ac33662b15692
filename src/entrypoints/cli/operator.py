"""The operator: the user of the operating system who runs a command."""

import os
import pwd


def operator_name() -> str:
    """Return the name of the operating system's user, with a suffix that no user id can have."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"{name} (command line)"

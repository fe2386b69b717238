"""Who operates: the name of the user who runs a command."""

import getpass


def user_name() -> str:
    """Return the name of the user who runs the command; "" if the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""

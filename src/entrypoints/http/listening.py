"""Listening sockets, bound before the server starts, so that several processes can share them."""

import errno
import socket

from tallystick.entrypoints.settings import Settings, variable


def listen(host: str, port: int, *, chosen_by: str) -> socket.socket:
    """Return a bound socket; OSError says why binding failed, and how to choose another address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        end = "end the program that listens there, or " if error.errno == errno.EADDRINUSE else ""
        advice = f"{end}choose another address by {chosen_by}"
        raise OSError(f"cannot listen on {host} port {port}: {error.strerror}; {advice}") from None
    listener.set_inheritable(True)
    return listener


def listen_for_metrics(settings: Settings) -> socket.socket | None:
    """Return a bound socket for `/metrics`; None without a listener of its own. OSError as above."""
    address = settings.metrics_address
    return None if address is None else listen(*address, chosen_by=variable("metrics_address"))

"""The reference of the benchmark: the framework's empty JSON route, behind the server options of `serve`.

`python -m bench.empty` serves until SIGTERM on a free port, which it prints.
"""

import gc
import socket
import sys

import uvicorn
from litestar import Litestar, get

from tallystick.entrypoints.http.protocol import HttpProtocol


@get("/empty")
async def empty() -> dict[str, str]:
    return {}


def main() -> None:
    app = Litestar([empty], openapi_config=None, logging_config=None)
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(
        app,
        interface="asgi3",
        loop="uvloop",
        http=HttpProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
    )
    # As in `serve`, so that garbage collection is the same in both.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    sys.stdout.write(f"listens on http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()

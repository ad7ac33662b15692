"""A web app on an origin of its own, which reports to the test what its event streams and its page show."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

_WAIT_SECONDS = 60.0
_REPORTING = """
let count = 0;
const report = (name, data = null, id = "") => {
  fetch("/", {method: "POST", body: JSON.stringify([count++, name, data, id])});
};
const Native = EventSource;
const NAMES = ["message", "message_deleted", "member_added", "member_removed", "ready", "head", "reset", "bye"];
EventSource = class extends Native {
  constructor(...given) {
    super(...given);
    for (const name of NAMES) {
      this.addEventListener(name, (event) => report(name, JSON.parse(event.data), event.lastEventId));
    }
    this.addEventListener("open", () => report("open"));
    this.addEventListener("error", () => report(this.readyState === Native.CLOSED ? "closed" : "lost"));
  }
};
window.addEventListener("unhandledrejection", (event) => report("failed", String(event.reason)));
"""


class Report(NamedTuple):
    """One event of an EventSource; or what it said of the connection: `open`, `lost`, `closed`."""

    number: int
    name: str
    data: Any
    id: str


class WebApp:
    """A page on one origin, and what it reports."""

    def __init__(self) -> None:
        self.script = ""
        """The script of the page, which may call `report`."""
        self._reports: dict[int, Report] = {}
        self._has_more = threading.Condition()
        self.origin = ""

    @property
    def html(self) -> bytes:
        return f"<!doctype html><meta charset=utf-8><script>{_REPORTING}{self.script}</script>".encode()

    def take(self, report: Report) -> None:
        with self._has_more:
            self._reports[report.number] = report
            self._has_more.notify_all()

    def reports(self) -> list[Report]:
        """Return what was reported without a gap so far, in the order in which the page saw it."""
        with self._has_more:
            return self._whole()

    def until(self, holds: Callable[[list[Report]], bool]) -> list[Report]:
        """Wait until something holds of the reports, and return them."""
        with self._has_more:
            assert self._has_more.wait_for(lambda: holds(self._whole()), _WAIT_SECONDS), self._whole()[-20:]
            return self._whole()

    def _whole(self) -> list[Report]:
        found: list[Report] = []
        while len(found) in self._reports:
            found.append(self._reports[len(found)])
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, app: WebApp, *given: Any) -> None:
        self._app = app
        super().__init__(*given)

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/" else 404, self._app.html if self.path == "/" else b"")

    def do_POST(self) -> None:
        self._app.take(Report(*json.loads(self.rfile.read(int(self.headers["content-length"])))))
        self._answer(204, b"")

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def web_app() -> Iterator[WebApp]:
    """Serve a page on a free port of this machine."""
    app = WebApp()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, app))
    app.origin = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield app
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""``python -m include.exporter``: serves the state of the models at /metrics until it is ended."""

from __future__ import annotations

import argparse
import signal
import threading

from prometheus_client import CollectorRegistry, start_http_server

from include.exporter.collector import ModelState
from include.exporter.parts import Parts
from include.settings import get_settings


def main() -> None:
    settings = get_settings()
    parser = argparse.ArgumentParser(prog="python -m include.exporter", description=__doc__)
    parser.add_argument("--host", default=settings.host)
    parser.add_argument("--port", type=int, default=settings.exporter_port)
    options = parser.parse_args()
    registry = CollectorRegistry()
    registry.register(ModelState())
    registry.register(Parts(settings))
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    server, thread = start_http_server(options.port, options.host, registry)
    print(f"exporter: http://{options.host}:{options.port}/metrics", flush=True)  # noqa: T201 - says that it is ready
    asked.wait()
    server.shutdown()
    thread.join()


if __name__ == "__main__":
    main()

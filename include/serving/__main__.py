"""``python -m include.serving``: one process that serves the models of all use cases.

More load takes more such processes, each on a port of its own behind nginx: each follows the registry by itself, has
metrics of its own and is replaced by itself. Processes that share a port would answer a probe, a scrape of the metrics
or a verification of what is served for one another.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import sys
import threading

from include.contract.loading import UseCaseError, load_use_cases
from include.settings import Settings, get_settings

DESCRIPTION = "One process that serves the models of all use cases."


def main(arguments: list[str] | None = None) -> int:
    settings = get_settings()
    parser = argparse.ArgumentParser(prog="python -m include.serving", description=DESCRIPTION)
    parser.add_argument("--host", default=settings.host)
    parser.add_argument("--port", type=int, default=settings.serving_port)
    parser.add_argument("--alias", default="champion", help="the alias in the registry whose version is served")
    parser.add_argument("--use-case", action="append", metavar="NAME", help="serve only this one; may be repeated")
    parser.add_argument("--workers", type=int, default=1, help="1: a port is served by one process")
    parser.add_argument("--until-input-ends", action="store_true", help="stop when standard input is closed")
    options = parser.parse_args(arguments)
    if options.workers != 1:
        parser.error(
            f"--workers {options.workers}: a port is served by one process; start one each on ports of their own, put "
            "nginx in front of them, and name them all in EVERGREEN_SERVING_REPLICAS"
        )
    _prepare(settings)
    if options.until_input_ends:
        threading.Thread(target=_stop_with_input, name="input", daemon=True).start()
    try:
        found = load_use_cases()
    except UseCaseError as error:
        parser.error(str(error))
    wanted = options.use_case or list(found)
    if unknown := [name for name in wanted if name not in found]:
        parser.error(f"--use-case: {', '.join(unknown)} is none of {', '.join(found) or 'no use cases'}")

    import uvicorn

    from include.serving.app import create_app
    from include.serving.protocol import LimitedHead

    try:
        app = create_app(settings, {name: found[name] for name in wanted}, alias=options.alias)
    except UseCaseError as error:
        parser.error(str(error))
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        loop="uvloop",
        http=LimitedHead,
        workers=1,
        access_log=False,
        log_level="info",
        timeout_graceful_shutdown=math.ceil(settings.request_timeout) + 1,
    )
    return 0


def _prepare(settings: Settings) -> None:
    """Settings that libraries read when they are imported."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ.setdefault(name, str(settings.threads))
    os.environ.setdefault("NUMBA_CACHE_DIR", str(settings.home / "cache" / "numba"))
    os.environ.setdefault("MLFLOW_TRACKING_URI", settings.mlflow_uri)  # for what MLflow opens by itself
    # the registry is asked each second: what fails is asked again soon, and must not hold up the other use cases
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")


def _stop_with_input() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())

"""``python -m include.serving``: one process that serves the models of all use cases."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading

from include.contract.loading import UseCaseError, load_use_cases
from include.settings import Settings, get_settings


def main(arguments: list[str] | None = None) -> int:
    settings = get_settings()
    parser = argparse.ArgumentParser(prog="python -m include.serving", description=__doc__)
    parser.add_argument("--host", default=settings.host)
    parser.add_argument("--port", type=int, default=settings.serving_port)
    parser.add_argument("--alias", default="champion", help="the alias in the registry whose version is served")
    parser.add_argument("--use-case", action="append", metavar="NAME", help="serve only this one; may be repeated")
    parser.add_argument("--until-input-ends", action="store_true", help="stop when standard input is closed")
    options = parser.parse_args(arguments)
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

    app = create_app(settings, {name: found[name] for name in wanted}, alias=options.alias)
    uvicorn.run(app, host=options.host, port=options.port, access_log=False, log_level="info")
    return 0


def _prepare(settings: Settings) -> None:
    """Settings that libraries read when they are imported."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ.setdefault(name, str(settings.threads))
    # the registry is asked each second: what fails is asked again soon, and must not hold up the other use cases
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")


def _stop_with_input() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())

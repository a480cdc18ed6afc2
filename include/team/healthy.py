"""``python -m include.team.healthy PART``: the health check of a container; 0 where the part is well.

It is run every few seconds in every container, so it imports as little as can be.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import urllib.request
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse

TIMEOUT = 8.0
CLOCK = 60.0  # seconds that a worker's clock may differ
API = "http://api-server:8080/api/v2/monitor/health"
OWN = {
    "api-server": "http://127.0.0.1:8080/api/v2/version",
    "mlflow": "http://127.0.0.1:5000/health",
    "scheduler": "http://127.0.0.1:8974/health",
}


def main() -> int:
    part = sys.argv[1]
    try:
        if part == "worker":
            well = _worker()
        elif part in OWN:
            _get(OWN[part])  # a part that is not well answers with an error
            well = True
        else:
            well = json.loads(_get(API))[part]["status"] == "healthy"
    except (OSError, LookupError, ValueError) as error:
        sys.stderr.write(f"{part}: {error}\n")
        return 1
    return 0 if well else 1


def _get(address: str) -> bytes:
    with _open(address) as answer:
        return bytes(answer.read())


def _open(address: str) -> HTTPResponse:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    answer: HTTPResponse = opener.open(address, timeout=TIMEOUT)
    return answer


def _worker() -> bool:
    """Whether the worker of this container answers over the broker, and has the time of Airflow's API server."""
    with _open(API) as answer:
        wrong = time.time() - parsedate_to_datetime(answer.headers["Date"]).timestamp()
    if abs(wrong) > CLOCK:
        raise ValueError(f"the clock is wrong by {wrong:.0f} s; object storage refuses who is wrong by 15 minutes")
    from celery import Celery

    app = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"])
    return bool(app.control.ping(destination=[f"celery@{socket.gethostname()}"], timeout=TIMEOUT))


if __name__ == "__main__":
    sys.exit(main())

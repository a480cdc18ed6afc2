"""How the replicas of the online service answered, by their own counts, and whether they are there now.

A request that was refused or failed is in no log of predictions; each replica counts its answers since it was started.
So these are numbers of the moment of the look, and not of the window: for a history, Prometheus reads the same counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx

from include.deployment import replica
from include.records import Record

TIMEOUT = 2.0  # seconds that a replica has for its answer
REQUESTS, READY = "evergreen_requests_total", "evergreen_use_case_ready"


@dataclass(frozen=True)
class Answers(Record):
    """Of one use case, over all replicas that told their counts."""

    replicas: int
    ready: int  # of them, able to predict
    requests: int  # that were answered, in whatever way
    refused: int  # by a status from 400 to 499
    failed: int  # from 500 on
    notes: tuple[str, ...]  # which replica is not counted, and why

    @property
    def availability(self) -> float | None:
        """The share of requests that did not fail; None before the first."""
        return 1 - self.failed / self.requests if self.requests else None


def ask(use_case: str, addresses: Sequence[str], headers: Mapping[str, str] | None = None) -> Answers:
    """Ask each replica once. One that does not answer, or tells no counts, is not ready."""
    ready = requests = refused = failed = 0
    notes = []
    found = replica.addresses(addresses)
    for address in found:
        try:
            answer = httpx.get(f"{address}/metrics", headers=headers, timeout=TIMEOUT, trust_env=False)
        except httpx.TransportError:
            notes.append(f"{address} did not answer")
            continue
        if answer.status_code != httpx.codes.OK:
            notes.append(
                f"{address}/metrics gave no counts (status {answer.status_code}); EVERGREEN_METRICS_OPEN opens it"
            )
            continue
        able, by_status = _read(use_case, answer.text)
        ready += able
        requests += sum(by_status.values())
        refused += sum(count for status, count in by_status.items() if 400 <= status < 500)
        failed += sum(count for status, count in by_status.items() if status >= 500)
    return Answers(len(found), ready, requests, refused, failed, tuple(notes))


def _read(use_case: str, text: str) -> tuple[bool, dict[int, int]]:
    """Whether the use case can be predicted there, and its answers by status."""
    from prometheus_client.parser import text_string_to_metric_families

    able, by_status = False, {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.labels.get("use_case") != use_case:
                continue
            if sample.name == READY:
                able = sample.value == 1
            elif sample.name == REQUESTS:
                by_status[int(sample.labels["status"])] = int(sample.value)
    return able, by_status

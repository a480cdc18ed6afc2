"""What a serving process says that it serves."""

from __future__ import annotations

import httpx


def served_version(address: str, use_case: str) -> tuple[int | None, str]:
    """The version that a serving process answers with, and in words what it said where there is none."""
    try:
        answer = httpx.get(f"{address}/v1/{use_case}", timeout=5, trust_env=False)
    except httpx.TransportError as error:
        return None, f"no answer ({error})"
    if answer.status_code != httpx.codes.OK:
        return None, f"status {answer.status_code}: {answer.text[:200]}"
    status = answer.json()
    model = status["model"]
    problems = f"; {'; '.join(status['problems'])}" if status["problems"] else ""
    return (model["version"] if model else None), f"version {model['version'] if model else 'none'}{problems}"

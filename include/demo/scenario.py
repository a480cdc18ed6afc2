"""What a use case's demo does: ``demo.yaml`` in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import yaml

from include.contract.schema import Strict

FILE = "demo.yaml"


class Challenger(Strict):
    """A training by hand whose candidate the gate is expected to refuse."""

    window: str
    reason: str


class Scenario(Strict):
    """Keys are partition keys, spans ``first/last``."""

    bootstrap: str
    spans: tuple[str, ...]
    challenger: Challenger
    quarantined: dict[str, int]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The scenario of a use case; ``FileNotFoundError`` where it has none."""
        return cls.model_validate(yaml.safe_load((folder / FILE).read_text(encoding="utf-8")))

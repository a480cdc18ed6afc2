from __future__ import annotations

import pytest


@pytest.fixture
def use_case(request: pytest.FixtureRequest) -> str:
    """A name that no other test registers models under."""
    return str(request.node.name).replace("[", "_").replace("]", "").lower()[:60]

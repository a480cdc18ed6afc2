"""Says what is wrong with a use case that cannot be loaded: its error is this file's import error in the UI."""

from include.contract.loading import discover_use_cases

discover_use_cases().raise_for_errors()

"""Says what is wrong with a use case that cannot be loaded: as the import error of this DAG file in Airflow's UI.

Its other stages' files leave a broken use case out, so that the others keep running.
"""

from include.contract.loading import discover_use_cases

discover_use_cases().raise_for_errors()

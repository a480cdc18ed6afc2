"""Loads a folder of DAG files as Airflow does and prints what it finds as JSON."""

import json
import sys

from airflow.dag_processing.dagbag import DagBag


def params(asked):
    known = {name: asked.params.get_param(name) for name in asked.params}
    return {
        name: {**param.schema, "description": param.description, "default": param.value}
        for name, param in known.items()
    }


bag = DagBag(sys.argv[1], bundle_name="test")
dags = {
    dag_id: {
        "doc": dag.doc_md,
        "tags": sorted(dag.tags),
        "owner": dag.owner,
        "runs": dag.max_active_runs,
        "catchup": dag.catchup,
        "params": params(dag),
        "forms": {task.task_id: params(task) for task in dag.tasks if task.operator_name == "HITLOperator"},
        "tasks": {task.task_id: [task.retries, task.execution_timeout is not None, task.pool] for task in dag.tasks},
    }
    for dag_id, dag in bag.dags.items()
}
heavy = sorted(
    {"dvc", "feast", "great_expectations", "mlflow", "optuna", "pandas", "polars", "sklearn"} & set(sys.modules)
)
print(json.dumps({"errors": dict(bag.import_errors), "dags": dags, "heavy": heavy}))

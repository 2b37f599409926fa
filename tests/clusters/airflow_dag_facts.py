"""Run by Airflow's own Python: imports a DAG file as Airflow does and prints what became of it, as JSON.

`python airflow_dag_facts.py FILE`; the same facts whichever Airflow it is, but for the DAGs that there are.
"""

import json
import sys
import warnings

try:  # Airflow 3
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk import DAG, BaseOperator, Param
    from airflow.sdk.definitions.mappedoperator import MappedOperator
    from airflow.serialization.serialized_objects import DagSerialization as SerializedDAG
except ImportError:  # Airflow 2
    from airflow.models import DAG, BaseOperator, DagBag, Param
    from airflow.models.mappedoperator import MappedOperator
    from airflow.serialization.serialized_objects import SerializedDAG


def facts_of(file: str) -> dict[str, object]:
    """Import the file and return warnings, errors, and what there is to know of its DAGs."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bag = DagBag(file)
        module = sys.modules[type(bag.dags["s3_downloader"].get_task("compile_plan")).__module__]
        for dag in bag.dags.values():
            SerializedDAG.to_dict(dag)  # what the scheduler and the web pages are given
    captured = [text for texts in bag.captured_warnings.values() for text in texts]
    return {
        "import_errors": bag.import_errors,
        "warnings": captured + [str(warning.message) for warning in caught if warning.filename == file],
        "dags": {dag_id: _dag_facts(dag) for dag_id, dag in bag.dags.items()},
        "final_failures": sorted(vars(module)["FINAL_FAILURES"]),
    }


def _dag_facts(dag: DAG) -> dict[str, object]:
    return {
        "timetable": type(dag.timetable).__name__,
        "catchup": dag.catchup,
        "tags": sorted(dag.tags),
        "documented": bool(dag.doc_md),
        "params": {name: _param_facts(dag.params.get_param(name)) for name in dag.params},
        "tasks": {task.task_id: _task_facts(task) for task in dag.tasks},
    }


def _param_facts(param: Param) -> dict[str, object]:
    return {**param.schema, "default": param.dump()["value"], "described": bool(param.description)}


def _task_facts(task: BaseOperator) -> dict[str, object]:
    timeout = task.execution_timeout
    return {
        "downstream": sorted(task.downstream_task_ids),
        "mapped": isinstance(task, MappedOperator),
        "pool": task.pool,
        "queue": task.queue,
        "retries": task.retries,
        "retry_delay_seconds": task.retry_delay.total_seconds(),
        "execution_timeout_seconds": timeout and timeout.total_seconds(),
        "trigger_rule": task.trigger_rule.value,
    }


if __name__ == "__main__":
    print("\n" + json.dumps(facts_of(sys.argv[1])))

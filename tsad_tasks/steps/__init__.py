"""One file per DAG task: read, decide (pure), write, in one transaction."""

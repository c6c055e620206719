"""A small plant and its warehouse for benchmarks that disturb the pipeline, and its runs."""

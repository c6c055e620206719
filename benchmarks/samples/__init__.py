"""Made-up content, for benchmarks and tests."""

"""Plants and fleets of our own making that only benchmarks use."""

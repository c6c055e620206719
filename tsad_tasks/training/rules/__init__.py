"""The gate's rules: one file a family."""

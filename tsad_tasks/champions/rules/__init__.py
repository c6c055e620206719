"""The shadow's rules: one file a family."""

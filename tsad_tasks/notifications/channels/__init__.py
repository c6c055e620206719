"""Ways to people, one file a channel."""

"""What the readings look like, and what a training would learn from them."""

"""How a model does on training, validation and test readings."""

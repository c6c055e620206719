"""From source tables to blocks of readings, and what is known of the sensors."""

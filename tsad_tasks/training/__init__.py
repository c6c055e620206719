"""From a range of readings to a challenger that was judged."""

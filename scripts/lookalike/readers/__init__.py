"""What readers can tell: statistics of their answers."""

"""Measures of how alike two image sets are: pure functions on arrays, float64, each tested against an independent oracle."""

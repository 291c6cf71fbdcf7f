"""Figures. Each draws what it is given, computes nothing, and writes PDF, PNG and the exact plotted numbers (`*.source.csv`)."""

"""Simulated medical images with planted truth, written as real files: what every stage is tried on where no real data are at hand."""

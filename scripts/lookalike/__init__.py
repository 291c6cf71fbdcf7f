"""Lookalike: how real are synthetic medical images? The library behind the workflow; nothing here knows Snakemake."""

__version__ = "0.1.0"

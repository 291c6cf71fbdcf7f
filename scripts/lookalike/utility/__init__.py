"""What synthetic images are worth to a classifier that learns from them: its AUC, what it looks at, and which real images it finds alike (D21)."""

JUDGE = ("utility.encoder", "measures.frechet")
"""Modules that a judged training runs besides those that it imports; the workflow, which has no torch, asks here too."""

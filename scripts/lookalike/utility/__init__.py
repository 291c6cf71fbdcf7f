"""What synthetic images are worth to a classifier that learns from them: its AUC, what it looks at, and which real images it finds alike (D21)."""

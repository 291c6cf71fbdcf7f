"""Training: one loop whose only clock is `nimg`, the number of real images shown."""

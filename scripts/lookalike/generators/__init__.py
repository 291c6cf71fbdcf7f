"""Networks, and nothing but networks: one module a family."""

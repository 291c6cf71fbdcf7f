"""Speed against named peers, and how cost grows: `make bench`, or `python -m benchmarks --help`. Not part of the library; nothing in it imports this."""

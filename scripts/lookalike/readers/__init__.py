"""What readers can tell: what they are shown, and statistics of their answers."""

PROGRAMS = "Answers of simulated readers: programs, not people"
"""What every file of theirs says."""
SUFFIXES = (".csv", ".tsv", ".json")
"""Of files of answers in a folder, in small or capital letters."""

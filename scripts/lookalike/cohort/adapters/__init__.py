"""One module a data set, each giving the same table of values a file; what a table says wins over the header."""

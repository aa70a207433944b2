"""A stream of lines: read as it comes, answered in chunks, written in order, all at once."""

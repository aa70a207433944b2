"""What offline code promises and online code relies on; the lowest layer."""

"""The number of this release; the package's metadata take it from here."""

RELEASE = "0.1.0"

"""The release of the client; the build reads it from here."""

RELEASE = "0.1.0"

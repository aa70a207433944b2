"""Keeps pytest out of this folder: its scripts run in environments of their own."""

collect_ignore_glob = ["*.py"]

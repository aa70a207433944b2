"""Dashboards for Grafana, described in Python and kept as JSON."""

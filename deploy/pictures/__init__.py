"""Pictures of the dashboards for the documentation, drawn from a running Prometheus."""

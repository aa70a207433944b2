"""The local stack: dashboards, alerts, its first bundle and the traffic that shows them."""

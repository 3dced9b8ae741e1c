"""Shipped training configurations, by name."""

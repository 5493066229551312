"""Policies as configured, and alerts."""

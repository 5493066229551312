"""What everything compiled stands on: money, layouts, windows, the decorators and their cache."""

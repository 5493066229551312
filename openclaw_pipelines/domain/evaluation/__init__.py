"""What became of decisions: outcomes, trades and metrics."""

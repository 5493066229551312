"""What market data says and whether it can be trusted."""

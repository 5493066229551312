"""What is computed of bars and proposed: indicators, families with their rules and parameters, signals."""

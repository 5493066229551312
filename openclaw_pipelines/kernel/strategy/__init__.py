"""What is computed of bars and proposed: indicators, setups, signals, parameters of the families."""

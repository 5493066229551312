"""Market sources behind one interface: `simulated`, `archive` and `ccxt`."""

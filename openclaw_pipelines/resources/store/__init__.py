"""The DuckDB files: connections, locks, migrations, and what is read and written as a whole."""

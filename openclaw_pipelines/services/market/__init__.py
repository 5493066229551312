"""Brings market data in, computes features and examines what is stored."""

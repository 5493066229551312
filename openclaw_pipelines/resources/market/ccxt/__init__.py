"""Exchanges through ccxt."""

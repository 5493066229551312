"""Thin assets: read inputs, call domain or kernel, write, return metadata. No business rule."""

"""The shape of the configuration, by capability: every setting, its type, its bounds and its default.

Layers, provenance, fingerprints and environment variables are in `settings`.
"""

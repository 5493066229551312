"""The life of a strategy that a factory cycle found: legal moves, gates and rotation, the log, the configuration layer.

Pure: what is measured is given, what shall happen is returned. Reading evidence, storing transitions and writing the
configuration layer are in `services.lifecycle`; the gates that a candidate passes before paper are in `selection`.
"""

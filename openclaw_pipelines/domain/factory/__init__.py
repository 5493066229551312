"""The strategy factory's rules: what is searched, what a cycle is, which rows are listed, and whether two runs agree.

Statistics and gates are in `domain.selection`, what happens to a validated candidate in `domain.lifecycle`; running
sweeps and replays and storing them is in `services.factory`.
"""

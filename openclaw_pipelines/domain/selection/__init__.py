"""Whether what a sweep found is real: windows, statistics, baselines, bias analysis and the gates that use them.

Pure functions over equities, trades, bars and results. Searching is in `kernel.sweep`, asset wiring and storage are
elsewhere. Whatever cannot be measured fails its gate with a reason.
"""

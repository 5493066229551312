"""What runs by itself: the ticker, the web UI, and whole sequences of jobs."""

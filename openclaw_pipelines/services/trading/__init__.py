"""Takes ticks, tells what is due, replays what is recorded."""

"""Many parameter rows at once, each equal to its replay."""

"""What may be done, by whom, and how a refusal reads."""

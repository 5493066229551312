"""What stands between an approved order and its fills."""

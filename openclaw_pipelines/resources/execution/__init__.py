"""What fills orders."""

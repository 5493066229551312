"""What the product does: reads the world, calls the rules, writes. By capability, as `domain` is."""

"""The stored metrics: definitions, inputs and values."""

"""What happens to an account: limits, sizes, fills, bookings, valuation."""

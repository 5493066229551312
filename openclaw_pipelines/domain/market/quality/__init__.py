"""Data-quality rules on a window of candles or funding; they find and never mend."""

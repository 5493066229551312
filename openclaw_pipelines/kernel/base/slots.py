"""Places of the named numbers in one symbol's indicator row: filled by `indicator_rows`, read by the rules."""

(
    SEEN,  # bars folded
    OPEN,  # of the newest bar, as are the next four
    HIGH,
    LOW,
    CLOSE,
    VOLUME,
    ATR,
    EMA_FAST,
    EMA_SLOW,
    MEAN_GAIN,
    MEAN_LOSS,
    PLUS_DM,
    MINUS_DM,
    DM_RANGE,
    ADX,
    BAND_MIDDLE,
    BAND_DEVIATION,
    ENTRY_HIGH,  # extremes of the bars before the newest one
    ENTRY_LOW,
    EXIT_HIGH,
    EXIT_LOW,
    PAST_CLOSE,  # the close `momentum_lookback` bars before the newest
    VOLATILITY,  # annualised
    MEAN_VOLUME,
    SETUP,  # side that the family would enter: -1, 0, 1
    SETUP_AGE,  # bars for which the setup has stood; 0 on the bar that changed it
    CLOSE_AT,  # ring cursors
    RANGE_AT,
    RETURN_AT,
    VOLUME_AT,
    SLOTS,  # number of named slots; the rings follow: closes, highs, lows, returns, volumes
) = range(31)

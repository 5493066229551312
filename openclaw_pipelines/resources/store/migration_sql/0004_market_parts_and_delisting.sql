-- Of how many lower bars a higher one was built, and whether the first of them is there; until when a symbol is traded.
-- Bars that were stored before this count as published: whole, with an open, and staying as they are.

ALTER TABLE candles ADD COLUMN IF NOT EXISTS "parts" BIGINT;
ALTER TABLE candles ADD COLUMN IF NOT EXISTS "parts_expected" BIGINT;
ALTER TABLE candles ADD COLUMN IF NOT EXISTS "has_open" BOOLEAN DEFAULT true;
ALTER TABLE candles ALTER COLUMN "has_open" SET NOT NULL;
ALTER TABLE instruments ADD COLUMN IF NOT EXISTS "delisted_at" TIMESTAMPTZ;

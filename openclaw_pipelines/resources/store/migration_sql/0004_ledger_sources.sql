-- Which market source gave a symbol's bar. Empty in ticks that were taken before this column.

ALTER TABLE tick_inputs ADD COLUMN IF NOT EXISTS "sources" VARCHAR;

-- Until when a source was asked for funding, so that a rate that does not exist can be told from one nobody asked for.

CREATE TABLE IF NOT EXISTS funding_coverage (
    "source" VARCHAR NOT NULL,
    "symbol" VARCHAR NOT NULL,
    "day" VARCHAR NOT NULL,
    "covered_until" TIMESTAMPTZ NOT NULL,
    PRIMARY KEY ("source", "symbol", "day")
);

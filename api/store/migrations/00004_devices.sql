-- What a node says of its GB/T 28181 devices (JSON, '' for none), and which
-- operations of people at nodes have their row in the access register: they may
-- be told twice.

-- +goose Up

ALTER TABLE nodes ADD COLUMN devices TEXT NOT NULL DEFAULT '';

CREATE TABLE register_keys (
    key TEXT   NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL REFERENCES access_register (seq)
);

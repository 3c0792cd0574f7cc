-- A picture comes after the text of its alert, by itself. Until then the alert's
-- body names it and the column picture does not; picture_lost is the hash of one
-- that the edge had to give up, so that nobody waits for it.

-- +goose Up

ALTER TABLE alerts ADD COLUMN picture_lost TEXT;

-- Nobody edits the register or an event's history, the administrator included
-- (Order 799 Art. 23). PostgreSQL says the same in its own words in its own file.

-- +goose Up

-- +goose StatementBegin
CREATE TRIGGER access_register_no_update BEFORE UPDATE ON access_register
BEGIN SELECT RAISE(ABORT, 'the access register is append-only'); END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER access_register_no_delete BEFORE DELETE ON access_register
BEGIN SELECT RAISE(ABORT, 'the access register is append-only'); END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER event_log_no_update BEFORE UPDATE ON event_log
BEGIN SELECT RAISE(ABORT, 'the history of events is append-only'); END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER event_log_no_delete BEFORE DELETE ON event_log
BEGIN SELECT RAISE(ABORT, 'the history of events is append-only'); END;
-- +goose StatementEnd

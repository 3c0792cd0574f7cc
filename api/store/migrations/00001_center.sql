-- The tables of the center. Portable on purpose: TEXT, BIGINT, INTEGER 0/1,
-- DOUBLE PRECISION; times are BIGINT microseconds since 1970 UTC. Nothing here
-- names who was seen: no column for faces, plates, persons or their traits, and
-- a test holds that.

-- +goose Up

CREATE TABLE counters (
    name  TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('change', 0), ('register', 0);

-- The latest change of each thing, for browsers that come back.
CREATE TABLE changes (
    kind TEXT NOT NULL,
    ref  TEXT NOT NULL,
    seq  BIGINT NOT NULL,
    PRIMARY KEY (kind, ref)
);
CREATE UNIQUE INDEX changes_seq ON changes (seq);

CREATE TABLE nodes (
    name       TEXT NOT NULL PRIMARY KEY,
    last_seq   BIGINT NOT NULL,
    newest_at  BIGINT NOT NULL, -- newest time of an envelope, by the node's clock
    seen_at    BIGINT NOT NULL, -- last heard of, never later than either clock says
    version    TEXT NOT NULL DEFAULT '',
    started_at BIGINT NOT NULL DEFAULT 0,
    cameras    INTEGER NOT NULL DEFAULT 0
);

-- Ranges of numbers below last_seq that have not come.
CREATE TABLE node_gaps (
    node     TEXT NOT NULL REFERENCES nodes (name),
    from_seq BIGINT NOT NULL,
    to_seq   BIGINT NOT NULL,
    PRIMARY KEY (node, from_seq)
);

-- One row per camera and node that ever had it; the newest living report is the
-- latest one. Which row that is does not depend on the order of arrival.
CREATE TABLE cameras (
    id           TEXT NOT NULL,
    node         TEXT NOT NULL,
    latest       INTEGER NOT NULL,
    record       TEXT NOT NULL, -- JSON of the camera's record
    state        TEXT NOT NULL, -- JSON of the five facts
    division     TEXT NOT NULL,
    point        TEXT NOT NULL,
    legal_basis  TEXT NOT NULL,
    in_use       INTEGER NOT NULL,
    registered   TEXT NOT NULL,
    transport    TEXT NOT NULL,
    frames       TEXT NOT NULL,
    picture      TEXT NOT NULL,
    recording    TEXT NOT NULL,
    reported_at  BIGINT NOT NULL, -- by the node's clock
    reported_seq BIGINT NOT NULL,
    removed      INTEGER NOT NULL,
    PRIMARY KEY (id, node)
);
CREATE UNIQUE INDEX cameras_latest ON cameras (id) WHERE latest = 1;
CREATE INDEX cameras_division ON cameras (division);

CREATE TABLE pictures (
    sha256  TEXT NOT NULL PRIMARY KEY,
    bytes   BIGINT NOT NULL,
    at      BIGINT NOT NULL
);

-- One row per incident; body is the JSON of the merged phases.
CREATE TABLE alerts (
    id              TEXT NOT NULL PRIMARY KEY,
    camera          TEXT NOT NULL,
    node            TEXT NOT NULL,
    kind            TEXT NOT NULL,
    phase           TEXT NOT NULL,
    start_at        BIGINT NOT NULL,
    received_at     BIGINT NOT NULL,
    late_by         BIGINT NOT NULL, -- microseconds
    body            TEXT NOT NULL,
    picture         TEXT REFERENCES pictures (sha256),
    picture_expired INTEGER NOT NULL DEFAULT 0,
    status          TEXT NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'confirmed', 'dismissed')),
    triage_login    TEXT,
    triage_name     TEXT,
    triage_unit     TEXT,
    triage_at       BIGINT,
    triage_reason   TEXT,
    triage_note     TEXT,
    event_no        TEXT
);
CREATE INDEX alerts_start ON alerts (start_at, id);
CREATE INDEX alerts_status ON alerts (status, start_at, id);
CREATE INDEX alerts_camera ON alerts (camera, start_at, id);
CREATE INDEX alerts_picture ON alerts (picture);

CREATE TABLE events (
    no            TEXT NOT NULL PRIMARY KEY,
    county        TEXT NOT NULL,
    day           TEXT NOT NULL,
    serial        INTEGER NOT NULL,
    category      TEXT NOT NULL,
    category_name TEXT NOT NULL,
    level         INTEGER NOT NULL,
    urgency       TEXT NOT NULL,
    source        TEXT NOT NULL,
    title         TEXT NOT NULL,
    description   TEXT NOT NULL,
    happen_at     BIGINT NOT NULL,
    division      TEXT NOT NULL,
    grid          TEXT NOT NULL,
    address       TEXT NOT NULL,
    lon           DOUBLE PRECISION,
    lat           DOUBLE PRECISION,
    camera        TEXT NOT NULL,
    reporter_post TEXT NOT NULL,
    state         TEXT NOT NULL,
    due_at        BIGINT,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    UNIQUE (county, day, serial)
);
CREATE INDEX events_created ON events (created_at, no);
CREATE INDEX events_state ON events (state, created_at, no);

-- live is 0 once the decision was taken back: an alert has one live event at most.
CREATE TABLE event_alerts (
    event_no TEXT NOT NULL REFERENCES events (no),
    alert    TEXT NOT NULL REFERENCES alerts (id),
    live     INTEGER NOT NULL,
    PRIMARY KEY (event_no, alert)
);
CREATE UNIQUE INDEX event_alerts_one ON event_alerts (alert) WHERE live = 1;

CREATE TABLE event_log (
    event_no   TEXT NOT NULL REFERENCES events (no),
    n          INTEGER NOT NULL,
    at         BIGINT NOT NULL,
    from_state TEXT NOT NULL,
    to_state   TEXT NOT NULL,
    user_login TEXT NOT NULL,
    user_name  TEXT NOT NULL,
    user_unit  TEXT NOT NULL,
    user_post  TEXT NOT NULL,
    note       TEXT NOT NULL,
    PRIMARY KEY (event_no, n)
);

CREATE TABLE users (
    name          TEXT NOT NULL PRIMARY KEY,
    display       TEXT NOT NULL,
    unit          TEXT NOT NULL,
    post          TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('admin', 'duty', 'viewer')),
    password_hash TEXT NOT NULL,
    must_change   INTEGER NOT NULL,
    disabled      INTEGER NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE TABLE sessions (
    token_hash TEXT NOT NULL PRIMARY KEY,
    user_name  TEXT NOT NULL REFERENCES users (name),
    csrf       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_name);

-- 调用登记 (Order 799 Art. 16): who looked at what, why. Append-only, chained.
CREATE TABLE access_register (
    seq          BIGINT NOT NULL PRIMARY KEY,
    at           BIGINT NOT NULL,
    user_login   TEXT NOT NULL,
    user_name    TEXT NOT NULL,
    user_unit    TEXT NOT NULL,
    user_post    TEXT NOT NULL,
    client_ip    TEXT NOT NULL,
    action       TEXT NOT NULL,
    reason_code  TEXT NOT NULL,
    reason_text  TEXT NOT NULL,
    case_no      TEXT NOT NULL,
    cameras      TEXT NOT NULL, -- JSON array of camera IDs
    alert        TEXT NOT NULL,
    footage_from BIGINT NOT NULL, -- 0: not given
    footage_to   BIGINT NOT NULL,
    blurred      INTEGER NOT NULL,
    prev_hash    TEXT NOT NULL,
    hash         TEXT NOT NULL
);


-- Alerts: what fires, who was told, what waits to be told. Written by the one engine that holds the lease `alerts`, and by
-- operators who silence or acknowledge.

CREATE TABLE IF NOT EXISTS syncdeck.alert (
    rule text NOT NULL,
    -- what of the rule: a cause's fingerprint, a mapping, a channel; empty where there is only one thing
    subject text NOT NULL,
    phase text NOT NULL CHECK (phase IN ('pending', 'firing', 'resolved')),
    -- tells this one from an earlier one
    incident text NOT NULL,
    -- as domain::alert::life::Standing
    standing jsonb NOT NULL,
    -- who has this incident in hand
    acknowledged_at timestamptz,
    acknowledged_by text,
    acknowledged_note text,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (rule, subject)
);
CREATE INDEX IF NOT EXISTS alert_firing ON syncdeck.alert (rule) WHERE phase = 'firing';

-- What the configuration has, as the engine read it that looks after the alerts.
CREATE TABLE IF NOT EXISTS syncdeck.alert_configured (
    what text NOT NULL CHECK (what IN ('rule', 'channel')),
    name text NOT NULL,
    -- the severity of a rule, the kind of a channel
    word text NOT NULL,
    position integer NOT NULL,
    PRIMARY KEY (what, name)
);

-- Of each rule: what names the time from the first alert that fires to the end of the last one; when its digest and its
-- last message were made.
CREATE TABLE IF NOT EXISTS syncdeck.alert_rule (
    rule text PRIMARY KEY,
    episode text,
    digest_at timestamptz,
    told_at timestamptz
);
-- since when it is looked at: what was so before is no news
ALTER TABLE syncdeck.alert_rule ADD COLUMN IF NOT EXISTS since timestamptz;

CREATE TABLE IF NOT EXISTS syncdeck.alert_silence (
    id bigserial PRIMARY KEY,
    -- all rules, and all of a rule, where there is none
    rule text,
    subject text,
    until timestamptz NOT NULL,
    note text NOT NULL,
    actor text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What waits for a channel, and what became of it.
CREATE TABLE IF NOT EXISTS syncdeck.alert_delivery (
    id bigserial PRIMARY KEY,
    channel text NOT NULL,
    rule text NOT NULL,
    -- a receiver that gets it twice knows it by this
    message_id text NOT NULL,
    -- as domain::alert::message::Message
    message jsonb NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'dropped')),
    created_at timestamptz NOT NULL,
    next_try timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    -- who sends it, and until when nobody else may
    token text,
    claimed_until timestamptz,
    -- why it was not taken last
    reason text,
    detail text,
    done_at timestamptz
);
CREATE INDEX IF NOT EXISTS alert_delivery_waiting ON syncdeck.alert_delivery (channel, id) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS alert_delivery_done ON syncdeck.alert_delivery (done_at) WHERE state <> 'waiting';

CREATE TABLE IF NOT EXISTS syncdeck.alert_channel (
    name text PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('ok', 'failing', 'disabled')),
    since timestamptz NOT NULL,
    reason text,
    detail text,
    -- tells whether it is still configured as it was when it was disabled
    stamp text NOT NULL,
    told_at timestamptz
);

-- Messages that can be changed where they are.
CREATE TABLE IF NOT EXISTS syncdeck.alert_posted (
    channel text NOT NULL,
    episode text NOT NULL,
    place jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (channel, episode)
);

-- What the last whole comparison of a mapping found.
CREATE TABLE IF NOT EXISTS syncdeck.verified (
    mapping text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    found bigint NOT NULL
);

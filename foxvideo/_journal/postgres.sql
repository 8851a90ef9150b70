-- The journal of foxvideo in PostgreSQL, version 3. Made by `foxvideo journal init`, or by anybody who may create a
-- schema: a role that submits needs USAGE on the schema, and SELECT, INSERT, UPDATE and DELETE on its tables.
CREATE SCHEMA foxvideo;

CREATE TABLE foxvideo.journal (
    identity text NOT NULL,
    version integer NOT NULL
);
INSERT INTO foxvideo.journal VALUES (replace(gen_random_uuid()::text, '-', ''), 3);

-- Who lives: a client that was heard of lately. An id never comes back once it was taken for dead.
CREATE TABLE foxvideo.owners (
    id text PRIMARY KEY,
    since timestamptz NOT NULL, -- from when on it was heard without a gap
    until timestamptz NOT NULL, -- the end of its lease
    place text                  -- the machine and the process, for people
);

CREATE TABLE foxvideo.tasks (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL,
    attempt integer NOT NULL,
    origin text NOT NULL,
    account text NOT NULL,
    kind text, -- the same for all that should cost the same
    fingerprint text NOT NULL,
    model text NOT NULL,
    request text NOT NULL,
    token text NOT NULL,
    status text NOT NULL,
    owner text,
    follower text, -- who waits for its end
    sender text, -- who wrote "sending" last: the one that can bear witness that nothing left
    task_id text,
    adopted boolean NOT NULL DEFAULT false,
    credits_reserved double precision,
    reply bytea,
    error text,
    links integer,
    planned double precision NOT NULL,
    sent double precision,
    accepted double precision,
    ended double precision,
    handed text, -- as what end it was handed over to on_end; NULL where nobody asked for that
    traceparent text, -- the trace under which it was submitted
    UNIQUE (key, attempt)
);
CREATE INDEX tasks_by_id ON foxvideo.tasks (task_id) WHERE task_id IS NOT NULL;
CREATE INDEX tasks_owned ON foxvideo.tasks (owner) WHERE owner IS NOT NULL;
CREATE INDEX tasks_running ON foxvideo.tasks (number) WHERE status = 'accepted';

CREATE INDEX tasks_followed ON foxvideo.tasks (follower) WHERE status = 'accepted';
CREATE INDEX tasks_completed ON foxvideo.tasks (ended) WHERE status = 'completed';
CREATE INDEX tasks_unheard ON foxvideo.tasks (number)
    WHERE handed != status AND status IN ('completed', 'failed', 'cancelled', 'refused', 'uncertain');
CREATE INDEX tasks_active ON foxvideo.tasks (account) WHERE status IN ('sending', 'accepted', 'uncertain');

-- What all clients together may do with an account. Whoever lets a submission out makes another version of the row.
CREATE TABLE foxvideo.limits (
    account text PRIMARY KEY,
    max_active integer,
    per_second double precision,
    max_credits double precision,
    since double precision,
    halted text,
    gap double precision NOT NULL DEFAULT 0,
    not_before double precision NOT NULL DEFAULT 0,
    slowed double precision NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 1
);

CREATE TABLE foxvideo.files (
    task_id text NOT NULL,
    place integer NOT NULL,
    path bytea NOT NULL,
    size bigint NOT NULL,
    sha256 text NOT NULL,
    saved double precision NOT NULL,
    PRIMARY KEY (task_id, place)
);

CREATE TABLE foxvideo.uploads (
    sha256 text NOT NULL,
    origin text NOT NULL,
    url text NOT NULL,
    uploaded double precision NOT NULL,
    PRIMARY KEY (sha256, origin)
);

CREATE TABLE foxvideo.durations (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL,
    record text NOT NULL,
    ended double precision NOT NULL
);

"""The limits of an account in PostgreSQL: what the rule of ``limits.py`` has to know, and how a place is taken.

A client counts in one statement, and takes the place in the one that says *sending*: only if the row of the limits
still has the version that it counted at, and with another version after it. So no client holds a lock while it
computes.
"""

import attrs

from foxvideo._journal.lease import DURABLE, NOW, Row, Statement, Verb
from foxvideo._journal.limits import (
    FIRST_GAP,
    LONGEST_TASK,
    MOST_GAP,
    AccountUse,
    Limits,
    Spent,
    Standing,
    Wait,
    admitted,
    columns_of,
    use_of,
)
from foxvideo._journal.record import DEAD_SECONDS

# What makes a place free, as the part "free" of a statement.
ANY_PLACE: Statement = "free AS (SELECT true AS it)", {}
UNLIMITED: Statement = (
    "free AS (SELECT NOT EXISTS (SELECT 1 FROM foxvideo.limits WHERE account = %(account)s) AS it)",
    {},
)
UNLIMITED_RECORD: Statement = (
    """free AS (SELECT NOT EXISTS (
        SELECT 1 FROM foxvideo.limits l JOIN foxvideo.tasks had ON had.account = l.account WHERE had.number = %(number)s
    ) AS it)""",
    {},
)
AGAIN = Wait(0.1, "other clients took each place of the account first")
_CROWD = 100  # clients that may ask in a second, all together

_COUNTED = f"""
    SELECT l.*, {NOW} AS now,
        (SELECT count(*) FROM foxvideo.owners WHERE until > clock_timestamp()) AS living,
        CASE WHEN %(whole)s OR l.max_active IS NOT NULL THEN (
            SELECT count(*) FROM foxvideo.tasks t
            WHERE t.account = one.account AND t.status IN ('sending', 'accepted', 'uncertain') AND (
                t.status = 'sending' OR t.status = 'accepted' AND t.accepted > {NOW} - {DEAD_SECONDS}
                OR t.status = 'uncertain' AND t.sent > {NOW} - {LONGEST_TASK}
            )
        ) END AS active,
        CASE WHEN %(whole)s OR l.max_credits IS NOT NULL THEN (
            SELECT coalesce(json_agg(row_to_json(spent)), '[]') FROM (
                SELECT kind, model, max(credits_reserved) AS price,
                    coalesce(sum(credits_reserved) FILTER (WHERE counts), 0) AS told,
                    count(*) FILTER (WHERE counts AND credits_reserved IS NULL) AS untold,
                    count(*) FILTER (
                        WHERE counts AND credits_reserved IS NULL AND status IN ('sending', 'accepted')
                    ) AS pending
                FROM (
                    SELECT *, coalesce(sent, planned) >= coalesce(l.since, 0) AS counts FROM foxvideo.tasks t
                    WHERE t.account = one.account AND status NOT IN ('planned', 'refused', 'withdrawn')
                ) AS paid GROUP BY kind, model
            ) AS spent
        ) END AS spent
    FROM (SELECT %(account)s::text AS account) AS one LEFT JOIN foxvideo.limits l ON l.account = one.account
"""


def let_out(account: str, kind: str | None) -> Verb[Standing | Wait | None]:
    """Decide whether one more submission may leave; return what becomes of the account then, None without limits.

    Raises:
        LimitReached: It may not until somebody changes the limits.
    """
    (row,) = yield _COUNTED, {"account": account, "whole": False}
    standing = Standing.of(row)
    if standing is None:
        return None
    after = admitted(standing, row["active"] or 0, _spent(row), kind, row["now"])
    if isinstance(after, Wait):  # the more clients there are, the less often each asks
        return attrs.evolve(after, seconds=max(after.seconds, row["living"] / _CROWD))
    return after


def taken(account: str, after: Standing) -> Statement:
    """Return how a place is taken: it is free if nobody took one since this client counted."""
    return (
        """free AS (
            UPDATE foxvideo.limits l SET gap = %(gap)s, not_before = %(not_before)s, version = version + 1
            FROM me WHERE l.account = %(account)s AND version = %(version)s RETURNING true AS it
        )""",
        {"account": account} | {name: getattr(after, name) for name in ("gap", "not_before", "version")},
    )


def _spent(row: Row) -> tuple[Spent, ...]:
    return tuple(Spent(**one) for one in row["spent"] or ())


def set_limits(account: str, limits: Limits) -> Verb[None]:
    """Set the limits of an account."""
    columns = columns_of(limits)
    yield (
        f"""WITH {DURABLE} INSERT INTO foxvideo.limits AS l (account, {", ".join(columns)})
        SELECT %(account)s, %(max_active)s::integer, %(per_second)s::float8, %(max_credits)s::float8, %(since)s::float8
        FROM durable WHERE durable.it = 'on'
        ON CONFLICT (account) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in columns)},
            version = l.version + 1 RETURNING account""",
        {"account": account, **columns},
    )


def limits(account: str) -> Verb[AccountUse]:
    """Return the limits of an account, and how far they are used."""
    (row,) = yield _COUNTED, {"account": account, "whole": True}
    return use_of(Standing.of(row), row["active"], _spent(row))


def halt(account: str, why: str | None) -> Verb[None]:
    """Let nothing more of an account with limits leave, or let it leave again."""
    yield (
        f"""WITH {DURABLE} UPDATE foxvideo.limits SET halted = %(why)s, version = version + 1 FROM durable
        WHERE account = %(account)s AND durable.it = 'on' RETURNING account""",
        {"account": account, "why": why},
    )


def slow_down(account: str, seconds: float, ago: float) -> Verb[None]:
    """Let all clients of an account with limits wait, and go at half the speed then."""
    yield (
        f"""UPDATE foxvideo.limits SET version = version + 1, not_before = greatest(not_before, {NOW} + %(seconds)s),
            slowed = CASE WHEN slowed > {NOW} - %(ago)s THEN slowed ELSE {NOW} END,
            gap = CASE WHEN slowed > {NOW} - %(ago)s THEN gap
                ELSE least(greatest(2 * gap, {FIRST_GAP}), {MOST_GAP}) END
        WHERE account = %(account)s RETURNING account""",
        {"account": account, "seconds": seconds, "ago": ago},
    )

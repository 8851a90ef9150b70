"""The limits of an account in SQLite: what the rule of ``limits.py`` has to know, and what becomes of it."""

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
from foxvideo._journal.schema import Transaction

_ACTIVE = """
    SELECT count(*) FROM tasks WHERE account = ? AND status IN ('sending', 'accepted', 'uncertain') AND (
        status = 'sending' OR status = 'accepted' AND accepted > ? OR status = 'uncertain' AND sent > ?
    )
"""
_SPENT = """
    SELECT kind, model, max(credits_reserved) AS price,
        coalesce(sum(credits_reserved) FILTER (WHERE counts), 0) AS told,
        count(*) FILTER (WHERE counts AND credits_reserved IS NULL) AS untold,
        count(*) FILTER (
            WHERE counts AND credits_reserved IS NULL AND status IN ('sending', 'accepted')
        ) AS pending
    FROM (
        SELECT *, coalesce(sent, planned) >= ? AS counts FROM tasks
        WHERE account = ? AND status NOT IN ('planned', 'refused', 'withdrawn')
    ) GROUP BY kind, model
"""


def take_place(tx: Transaction, account: str, kind: str | None) -> Wait | None:
    """Take a place for one more submission; return for how long it has to wait where there is none.

    Raises:
        LimitReached: There will be none until somebody changes the limits.
    """
    standing = _standing(tx, account)
    if standing is None:
        return None
    active = 0 if standing.limits.max_active is None else _active(tx, account)
    spent = () if standing.limits.max_credits is None else _spent(tx, account, standing)
    after = admitted(standing, active, spent, kind, tx.now)
    if isinstance(after, Wait):
        return after
    tx.run("UPDATE limits SET gap = ?, not_before = ? WHERE account = ?", after.gap, after.not_before, account)
    return None


def _standing(tx: Transaction, account: str) -> Standing | None:
    return Standing.of(tx.run("SELECT * FROM limits WHERE account = ?", account).fetchone())


def _active(tx: Transaction, account: str) -> int:
    (active,) = tx.run(_ACTIVE, account, tx.now - DEAD_SECONDS, tx.now - LONGEST_TASK).fetchone()
    return int(active)


def _spent(tx: Transaction, account: str, standing: Standing) -> tuple[Spent, ...]:
    return tuple(Spent(**row) for row in tx.run(_SPENT, standing.since, account).fetchall())


def set_limits(tx: Transaction, account: str, limits: Limits) -> None:
    """Set the limits of an account."""
    columns = columns_of(limits)
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns)
    tx.run(
        f"INSERT INTO limits (account, {', '.join(columns)}) VALUES (?, ?, ?, ?, ?) "  # noqa: S608 - our names
        f"ON CONFLICT (account) DO UPDATE SET {changes}",
        *(account, *columns.values()),
    )


def limits(tx: Transaction, account: str) -> AccountUse:
    """Return the limits of an account, and how far they are used."""
    standing = _standing(tx, account)
    return use_of(standing, _active(tx, account), _spent(tx, account, standing or Standing()))


def halt(tx: Transaction, account: str, why: str | None) -> None:
    """Let nothing more of an account with limits leave, or let it leave again."""
    tx.run("UPDATE limits SET halted = ? WHERE account = ?", why, account)


def slow_down(tx: Transaction, account: str, seconds: float, ago: float) -> None:
    """Let all clients of an account with limits wait, and go at half the speed then."""
    tx.run(
        f"""UPDATE limits SET not_before = max(not_before, ?), slowed = CASE WHEN slowed > ? THEN slowed ELSE ? END,
        gap = CASE WHEN slowed > ? THEN gap ELSE min(max(2 * gap, {FIRST_GAP}), {MOST_GAP}) END WHERE account = ?""",  # noqa: S608 - ours
        *(tx.now + seconds, tx.now - ago, tx.now, tx.now - ago, account),
    )

"""What the engine needs of a memory on disk, as verbs: the interface that every store fulfils.

A store keeps records (``record.py``), the files that results were saved in, the links of uploads, and what the schedule
has learned. It changes a record along ``MOVES`` alone. How it keeps them is its own affair.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from foxvideo._journal.limits import AccountUse, Limits, Wait
from foxvideo._journal.record import DEFAULT_ACCOUNT, Claim, Mine, RecordStatus, TaskRecord

if TYPE_CHECKING:
    from foxvideo.media import SavedFile


class Store(Protocol):
    """One client's view of a journal that clients of many processes share.

    Nothing is opened before the first use. Every verb but ``close`` hands back a future at once, which is done when the
    disk has what it says; cancelling whoever waits for it undoes nothing. Verbs take effect in the order of the calls.

    Each future may raise ``JournalError``: nothing of what was asked for is written then, and the same call may be
    made again at any time, since the store goes on as soon as what was in its way is gone. An error of a verb that was
    told an id carries it.
    """

    @property
    def owner(self) -> str:
        """The name under which this client owns records.

        Raises:
            JournalError: The store was opened before this process was forked.
        """

    @property
    def closed(self) -> bool:
        """Whether nothing more is written; what this client owned is free."""

    def still_mine(self, owner: str) -> bool:
        """Whether nobody can have taken a client for dead; asked right before a request leaves, and costs nothing.

        A process that was stopped for long finds out here that it must not send what it had written down before.

        Args:
            owner: The name that this client had before it wrote that down. By now it may live under another.
        """

    # --- Submissions ---

    def claim(self, claim: Claim) -> asyncio.Future[Mine | TaskRecord]:
        """Make an attempt under a key this client's to send, as ``right`` has it.

        Returns:
            ``Mine`` where the attempt is this client's now, else the record that stands for the key.

        Raises:
            KeyConflict: The key is another request's, another origin's, or another account's.
        """

    def begin(self, claim: Claim, token: str) -> asyncio.Future[Mine | Wait]:
        """Plan a submission under a key that nobody has used, and write down that its request is about to leave.

        It stands for ``claim`` and ``sending`` where nobody else can want the key.

        Returns:
            ``Wait`` where the account has no place for it now: then nothing is written.

        Raises:
            LimitReached: The account will have none.
        """

    def sending(self, number: int) -> asyncio.Future[bool | Wait]:
        """Write down that the request of a planned record is about to leave; it may leave once this is done.

        Returns:
            False where the record is not this client's to send any more, and ``Wait`` where the account has no place
            for it now: then its request must not leave.

        Raises:
            LimitReached: The account will have none.
        """

    def move(
        self, number: int, to: RecordStatus, *, error: str | None = None, task_id: str | None = None
    ) -> asyncio.Future[bool]:
        """Change the status of a record along ``MOVES``, only while it is this client's or nobody's.

        The owner and the times follow from the status. A record that was refused or withdrawn is planned again by
        ``claim`` alone, which looks at the other attempts under the key.

        Args:
            number: Of the record.
            to: The new status.
            error: Why; None where that needs no reason.
            task_id: Its id, where a broken reply showed one; None for the one that it has.

        Returns:
            Whether it moved; a record that may not stays as it is.
        """

    def accepted(
        self, number: int, task_id: str, *, credits_reserved: float | None, reply: bytes | None
    ) -> asyncio.Future[None]:
        """Write down the id that a reply brought, whoever has the record by now: an id is worth money.

        The id is written even where the credits or the reply cannot be. Where the record has moved on to another end,
        which it keeps, the id becomes an attempt of its own under the key.
        """

    def ended(
        self,
        task_id: str,
        to: RecordStatus,
        *,
        reply: bytes | None,
        links: int | None,
        credits_reserved: float | None,
        error: str | None,
    ) -> asyncio.Future[None]:
        """Write down how a task ended, in every record that has its id; a record that knows that end is refreshed.

        Args:
            task_id: The task.
            to: Completed, failed or cancelled.
            reply: The reply that told it; None keeps the one that is there.
            links: How many results the completed task has; None keeps what is there.
            credits_reserved: As told; None, and less than what is there, keeps what is there.
            error: Why it failed; None where it did not.

        Raises:
            ValueError: That is no end (at once).
        """

    # --- What only a person can decide ---

    def uncertain(self, key: str, origin: str) -> asyncio.Future[TaskRecord]:
        """Return the record that stands for a key, which is uncertain.

        Raises:
            KeyStateError: It is not, there is none, its owner may still hear the reply, or it is another origin's.
        """

    def adopt(self, key: str, task_id: str, origin: str) -> asyncio.Future[TaskRecord]:
        """Write down that an uncertain submission made a task, and return its record.

        An id that was adopted may be put right by another one for as long as no reply has confirmed it.

        Raises:
            KeyStateError: As in ``uncertain``, or the id is in a record of another key.
        """

    # --- Reading ---

    def look(self, key: str) -> asyncio.Future[TaskRecord | None]:
        """Return the record that stands for a key, None if there is none.

        That is its newest attempt, but one that made nothing hides no earlier one that did, or may have.
        """

    def records(
        self,
        *,
        running: bool = False,
        key: str | None = None,
        status: RecordStatus | None = None,
        limit: int | None = None,
    ) -> asyncio.Future[tuple[TaskRecord, ...]]:
        """Return records in the order of planning.

        Args:
            running: Only those that are accepted and not known to have ended.
            key: Only attempts under this key.
            status: Only those where a submission stands like this.
            limit: The newest of them, at most so many; None for all.
        """

    def follow(
        self,
        origin: str,
        account: str = DEFAULT_ACCOUNT,
        *,
        most: int | None,
        unsaved_since: float | None,
        mine: bool,
        hand_over: bool = False,
        unsure: bool = False,
    ) -> asyncio.Future[tuple[TaskRecord, ...]]:
        """Make this client the one that follows records which no other living client does, and return them.

        These are tasks that were accepted and are not known to have ended. A client also follows what it had accepted
        itself, until it lets go of it, is closed or dies.

        Args:
            origin: Only those that were sent there.
            account: Only those that it pays.
            most: The oldest of them, at most so many; None for all.
            unsaved_since: Also those that were completed after this time (Unix seconds) and of which a result was not
                saved; None for none of these.
            mine: Also those that this client follows already, and those that are so old that nothing can be left.
            hand_over: From now on their ends are to be handed over to ``on_end``. Without ``mine``, those are among
                them whose ends were to be and were not, whether a task was made or not.
            unsure: Also those that this client follows already: the last try failed, and may have been carried out.
        """

    def handed(self, to: RecordStatus, *, number: int | None, task_id: str | None) -> asyncio.Future[None]:
        """Write down as what end a record was handed over; nothing where nobody asked for that.

        Args:
            to: The end.
            number: Of the record, where it has no id.
            task_id: Its id; None where it has none.
        """

    def unfollow(self, task_id: str) -> asyncio.Future[None]:
        """Let another client follow a task that this one follows."""

    def identity(self) -> asyncio.Future[str]:
        """Return the name of the journal itself: one that was lost and made anew has another."""

    # --- The limits of an account ---

    def set_limits(self, account: str, limits: Limits) -> asyncio.Future[None]:
        """Set what all clients may do with an account; a pace and a halt stay as they are."""

    def limits(self, account: str) -> asyncio.Future[AccountUse]:
        """Return the limits of an account, and how far they are used."""

    def halt(self, account: str, why: str | None) -> asyncio.Future[None]:
        """Let nothing more of an account leave, or let it leave again (None); does nothing where it has no limits."""

    def slow_down(self, account: str, seconds: float, ago: float) -> asyncio.Future[None]:
        """Let all clients wait, and go at half the speed then; does nothing where the account has no limits.

        Args:
            account: Which.
            seconds: How long nothing leaves.
            ago: For how long the request was under way that the service found too fast: one that left before they were
                slowed down last does not slow them down once more.
        """

    # --- Forgetting ---

    def forget(self, before: float) -> asyncio.Future[int]:
        """Delete what was settled before a time (Unix seconds), and return how many records that were.

        What can still be fetched or decided stays: tasks that run, completed ones that were not saved and whose links
        may live, and uncertain submissions, unless a later attempt under the key made a task. The attempts under a key
        go together or not at all. What was saved of a task goes with it, and so do uploads from before that time.
        """

    # --- Files, uploads, durations ---

    def saved(self, task_id: str, place: int, file: "SavedFile") -> asyncio.Future[None]:
        """Write down where a result of a task was saved; ``place`` is its number, from 0."""

    def files(self, task_id: str) -> asyncio.Future[Mapping[int, "SavedFile"]]:
        """Return what was saved of a task, by the number of the result; the paths are absolute."""

    def uploaded(self, sha256: str, origin: str, url: str) -> asyncio.Future[None]:
        """Write down under which URL a content was uploaded."""

    def upload(self, sha256: str, origin: str, since: float) -> asyncio.Future[str | None]:
        """Return the URL of a content that was uploaded after a time (Unix seconds); None if there is none."""

    def forget_uploads(self, names: Iterable[str]) -> asyncio.Future[None]:
        """Forget uploads that the service may not find any more, by their URLs or by their contents."""

    def learn(self, model: str, record: str) -> asyncio.Future[None]:
        """Write down how a task of a model went, as the schedule tells it; the newest 1,000 are kept."""

    def learned(self, most: int) -> asyncio.Future[tuple[str, ...]]:
        """Return the newest that ``learn`` wrote down, the oldest of them first."""

    async def close(self) -> None:
        """Write what waits, and let go of what this client owned; may be called twice, and is not cut by cancelling."""

"""What a ledger of the emulator tells about all tasks together."""

from foxvideo.emulator import Emulator


def most_at_once(fox: Emulator) -> int:
    """Return how many tasks ran at the service at the same time at most."""
    lives = [task.life for task in fox.ledger.tasks.values()]
    return max(sum(other.began <= one.began < other.ends for other in lives) for one in lives)

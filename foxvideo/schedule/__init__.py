"""When to poll a task.

The service does not call you when a video is ready. It has to be polled: too seldom, and a finished video waits; too
often, and you pay with requests and with 429s. A schedule decides when.

## Three choices

| you write | what it does |
|---|---|
| ``Client()`` | ``Learned()``: polls where an end is likely, as the tasks that have ended showed |
| ``Client(schedule=Every(5))`` | polls each task every five seconds |
| ``Client(schedule=Learned(lateness=10))`` | polls less: an end may be noticed ten seconds late, in the mean |

```python
from foxvideo import Every, Learned

async with Client(schedule=Learned(lateness=10, ceiling=30)) as patient:
    video = await patient.generate(shots[0])
```

``Learned`` learns for each model and clip length how long tasks take, and how far their progress can be trusted. With a
journal it still knows that tomorrow.

## Write your own

A schedule is told a task's age and its newest state, and returns the age at which to poll next. It knows no clock and
does no I/O, so you can test it with plain numbers:

```python
from foxvideo import Schedule


class Doubling(Schedule):
    # after 5, 15, 35, 75 ... seconds, and at least once a minute
    def next_age(self, asked, age, state):
        return min(2 * age + 5, age + 60)


async with Client(schedule=Doubling()) as doubling:
    video = await doubling.generate(shots[0])
```

The client adds what every schedule needs: it keeps to ``max_requests``, backs off after errors and 429s, and polls once
more shortly before a deadline. The rule behind ``Learned`` is in ``foxvideo/schedule/hazard.py``.
"""

from foxvideo.schedule.adaptive import Learned
from foxvideo.schedule.base import Asked, Every, Schedule

__all__ = ["Asked", "Every", "Learned", "Schedule"]

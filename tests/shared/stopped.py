"""A program that sends one submission and prints what came back; its time may stand still meanwhile.

Arguments: the address, seconds for the reply, seconds for which the program itself blocks while it waits.
"""

import asyncio
import sys
import time

from foxvideo._http import Transport
from foxvideo._wire.reply import Reply


async def main(url: str, request_timeout: float, blocked: float) -> None:
    """Send it."""
    transport = Transport(url, "sk-0123456789abcdefghij", request_timeout, 15.0)
    if blocked:
        asyncio.get_running_loop().call_later(request_timeout / 2, time.sleep, blocked)
    answer = await transport.submit(b"{}", "idem")
    print(answer.body.decode() if isinstance(answer, Reply) else answer.reason)  # noqa: T201 - that is what it is for
    await transport.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))

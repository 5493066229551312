"""How a resident process is asked to stop: by one signal after what it is doing, by a second one at once."""

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SLICE_SECONDS = 0.1
"""How soon who pauses sees that it was asked to stop."""
Result = TypeVar("Result")


class Stop:
    """Whether a process was asked to stop. Who works looks at it where it can be left."""

    def __init__(self) -> None:
        self.asked = False

    def pause(self, seconds: float) -> None:
        """Wait, or until asked to stop."""
        end = time.monotonic() + seconds
        while not self.asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, SLICE_SECONDS))


@contextmanager
def stopped_by_signals(says: Callable[[str], object], first: str = "after what is running") -> Iterator[Stop]:
    """A stop that SIGINT and SIGTERM ask for, also where a script's background ignores the first.

    The second signal ends the process with 128 and its number, as a shell reports it. What is committed then is whole,
    and the run that was going on is failed by the next ticker.

    says: is told what the first one does. first: when it stops.
    """
    stop = Stop()

    def asked(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the shape that signal asks for
        if stop.asked:
            os._exit(128 + number)
        stop.asked = True
        says(f"stopping {first}; once more leaves at once")

    before = {number: signal.signal(number, asked) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def undisturbed(call: Callable[[], Result], interrupted_by: Stop | None = None) -> Result:
    """The result of a call in a thread of its own, in which Dagster does not take the handlers of signals for itself.

    interrupted_by: where it is asked for, a KeyboardInterrupt is raised in the call, which rolls back what it does.

    Raises:
        what the call raises.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - raised below, where it belongs
            errors.append(error)

    thread = threading.Thread(target=work, name="run")
    thread.start()
    while interrupted_by is not None and thread.is_alive() and not interrupted_by.asked:
        thread.join(SLICE_SECONDS)
    if interrupted_by is not None and interrupted_by.asked and thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt))
    thread.join()
    if errors:
        raise errors[0]
    if not results:  # interrupted where neither is kept, at the very end of the thread
        raise KeyboardInterrupt
    return results[0]

"""Following a job, with `for` or `async for`."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, TypeVar

from .calls import Answers

T = TypeVar("T")
_END = object()


class Watch(Generic[T]):
    """What a coordinator sends, one after the other, until the job ends.

    `async for` waits in a thread of its own, so that a notebook's event loop goes on. Whoever stops early need not close it.
    """

    def __init__(self, answers: Answers, values: Callable[[Any], list[T]]) -> None:
        self._answers = answers
        self._values = values
        self._waiting: list[T] = []
        # Not one of the event loop's: it has few, which jobs that wait would keep from those that run.
        self._thread: ThreadPoolExecutor | None = None

    def __iter__(self) -> "Watch[T]":
        return self

    def __next__(self) -> T:
        while not self._waiting:
            self._waiting = self._values(next(self._answers))
        return self._waiting.pop(0)

    def __aiter__(self) -> "Watch[T]":
        return self

    async def __anext__(self) -> T:
        self._thread = self._thread or ThreadPoolExecutor(1, "kasane-watch")
        try:
            # StopIteration cannot pass through a future.
            found: Any = await asyncio.get_running_loop().run_in_executor(self._thread, next, self, _END)
        except BaseException:
            # Of a task that is cancelled, the thread would wait on, and the program for the thread.
            self.close()
            raise
        if found is _END:
            self.close()
            raise StopAsyncIteration
        return found  # type: ignore[no-any-return]

    def close(self) -> None:
        """Stops following; the job continues."""
        self._answers.close()
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    def __enter__(self) -> "Watch[T]":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

"""Following a job, with `for` or `async for`."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

from .calls import Answers

T = TypeVar("T")
_END = object()


class Watch(Generic[T]):
    """What a coordinator sends, one after the other, until the job ends.

    `async for` waits in a thread, so that a notebook's event loop goes on. Whoever stops early need not close it.
    """

    def __init__(self, answers: Answers, values: Callable[[Any], list[T]]) -> None:
        self._answers = answers
        self._values = values
        self._waiting: list[T] = []

    def __iter__(self) -> "Watch[T]":
        return self

    def __next__(self) -> T:
        while not self._waiting:
            self._waiting = self._values(next(self._answers))
        return self._waiting.pop(0)

    def __aiter__(self) -> "Watch[T]":
        return self

    async def __anext__(self) -> T:
        try:
            # StopIteration cannot pass through a future.
            found: Any = await asyncio.to_thread(next, self, _END)
        except asyncio.CancelledError:
            # The thread would wait on, and the program for the thread.
            self.close()
            raise
        if found is _END:
            raise StopAsyncIteration
        return found  # type: ignore[no-any-return]

    def close(self) -> None:
        """Stops following; the job continues."""
        self._answers.close()

    def __enter__(self) -> "Watch[T]":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

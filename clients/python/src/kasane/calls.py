"""Calls to a coordinator: where it is, who calls, and how its answers and errors arrive."""

import math
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc

from .errors import KasaneError, explain
from .services import Definitions, Metadata

Fields = Mapping[str, object]

DEFAULT_ADDRESS = "127.0.0.1:7420"
# Seconds for an answer, and for one before which the coordinator reads data.
DEADLINE = 10.0
READING_DEADLINE = 600.0
# A token has 64 characters, a certificate a few thousand; what is larger is another file.
_MOST_TOKEN_BYTES = 4096
_MOST_PEM_BYTES = 1 << 20


class Calls:
    """A connection, made at the first call. Threads may share it."""

    def __init__(
        self,
        address: str | None,
        token: str | None,
        tls_ca: str | os.PathLike[str] | None,
        tls_cert: str | os.PathLike[str] | None,
        tls_key: str | os.PathLike[str] | None,
    ) -> None:
        self.address = address or os.environ.get("KASANE_COORDINATOR") or DEFAULT_ADDRESS
        _check_address(self.address)
        found = _token(token)
        self._metadata: Metadata = (("authorization", f"Bearer {found}"),) if found else ()
        credentials = _credentials(
            tls_ca or os.environ.get("KASANE_TLS_CA"),
            tls_cert or os.environ.get("KASANE_TLS_CERT"),
            tls_key or os.environ.get("KASANE_TLS_KEY"),
        )
        self._secured = credentials is not None
        # Web proxies (http_proxy) do not reach a coordinator.
        options = [("grpc.enable_http_proxy", 0)]
        self._channel = (
            grpc.secure_channel(self.address, credentials, options)
            if credentials
            else grpc.insecure_channel(self.address, options)
        )
        self._lock = threading.Lock()
        self._definitions: Definitions | None = None
        self._methods: dict[str, tuple[Any, Callable[..., Any]]] = {}
        self._closed = False

    def close(self) -> None:
        """Ends the connection, and what still uses it."""
        self._closed = True
        self._channel.close()

    def one(self, method: str, fields: Fields, deadline: float = DEADLINE) -> Any:
        """The answer of a method that has one; `fields` are those of the request."""
        request, call = self._method(method)
        try:
            return call(_made(request, fields), metadata=self._metadata, timeout=deadline)
        except grpc.RpcError as error:
            # gRPC's error, shown above this one, would bury it in a notebook.
            raise self._explained(error) from None

    def many(self, method: str, fields: Fields, timeout: float | None = None) -> "Answers":
        """The answers of a method that has several. `timeout`: seconds, after which TimeoutError is raised.

        Raises KasaneError USAGE.
        """
        if timeout is not None and math.isnan(timeout):
            raise KasaneError("USAGE", "timeout is not a number; expected seconds, or None to wait until the end")
        if timeout == math.inf:
            # gRPC takes it for a time that has passed.
            timeout = None
        request, call = self._method(method)
        return Answers(call(_made(request, fields), metadata=self._metadata, timeout=timeout), timeout, self._explained)

    def pages(self, method: str, fields: Fields) -> Iterator[Any]:
        """The pages of a list, one after the other."""
        token = ""
        while True:
            page = self.one(method, {**fields, "page_token": token})
            yield page
            token = page.next_page_token
            if not token:
                return

    def _explained(self, error: grpc.RpcError, answered: bool = False) -> KasaneError:
        return explain(error, self.address, self._secured, answered)

    def _method(self, name: str) -> tuple[Any, Callable[..., Any]]:
        with self._lock:
            if self._closed:
                raise KasaneError("USAGE", "the client is closed; make a new kasane.Client")
            if self._definitions is None:
                try:
                    self._definitions = Definitions(self._channel, self._metadata, DEADLINE)
                except grpc.RpcError as error:
                    raise self._explained(error) from None
            if name not in self._methods:
                self._methods[name] = self._definitions.method(self._channel, name)
            return self._methods[name]


class Answers:
    """An iterator over the answers of one call; whoever stops reading closes it."""

    def __init__(self, call: Any, timeout: float | None, explained: Callable[[grpc.RpcError, bool], KasaneError]) -> None:
        self._call = call
        self._timeout = timeout
        self._explained = explained
        self._answered = False
        self._closed = False

    def __iter__(self) -> "Answers":
        return self

    def __next__(self) -> Any:
        try:
            answer = next(self._call)
        except grpc.RpcError as error:
            if self._closed:
                raise StopIteration from None
            if self._timeout is not None and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError(f"the job has not ended within {self._timeout:g} s; it continues") from None
            raise self._explained(error, self._answered) from None
        except KeyboardInterrupt:
            # A notebook keeps what was interrupted, and the call would go on with it.
            self.close()
            raise
        self._answered = True
        return answer

    def close(self) -> None:
        """Ends the call, also while another thread waits for its next answer."""
        self._closed = True
        self._call.cancel()


def _made(request: Any, fields: Fields) -> Any:
    """A request with these fields. Raises KasaneError USAGE naming the one that does not fit."""
    for name, value in fields.items():
        try:
            request(**{name: value})
        except (TypeError, ValueError) as error:
            # Half a surrogate pair has no form in UTF-8.
            why = "it is not valid Unicode" if isinstance(error, UnicodeError) else error
            raise KasaneError("USAGE", f"{name}: {value!r} does not fit: {why}") from error
    return request(**fields)


def _check_address(address: str) -> None:
    """Raises KasaneError USAGE unless it is HOST:PORT."""
    found = re.fullmatch(r"(?:\[[\da-fA-F:.]+\]|[^\[\]\s:/]+):(\d{1,5})", address)
    if not found or not 1 <= int(found[1]) <= 65535:
        raise KasaneError("USAGE", f"coordinator address {address}: expected HOST:PORT, such as 127.0.0.1:7420 or [::1]:7420")


def _token(given: str | None) -> str:
    """The token that was given, or that of the environment; empty without one."""
    path = os.environ.get("KASANE_TOKEN_FILE")
    if given is not None:
        token = given
    elif path:
        token = _read("KASANE_TOKEN_FILE", path, _MOST_TOKEN_BYTES).decode(errors="replace").strip()
    else:
        token = os.environ.get("KASANE_TOKEN", "")
    if not re.fullmatch(r"[\x21-\x7e]*", token):
        raise KasaneError(
            "USAGE",
            "the token contains spaces or other characters that tokens never contain: copy it again, without the text around it",
        )
    return token


def _credentials(
    ca: str | os.PathLike[str] | None, cert: str | os.PathLike[str] | None, key: str | os.PathLike[str] | None
) -> grpc.ChannelCredentials | None:
    """Those of TLS; None without files of TLS, as for a coordinator without certificates."""
    if not (ca or cert or key):
        return None
    if not ca:
        raise KasaneError(
            "USAGE", 'tls_cert without tls_ca: set it to the CA that signed the coordinator\'s certificate, or "system"'
        )
    if bool(cert) != bool(key):
        given, missing = ("tls_cert", "tls_key") if cert else ("tls_key", "tls_cert")
        raise KasaneError("USAGE", f"{given} without {missing}: both are needed")
    return grpc.ssl_channel_credentials(
        root_certificates=None if ca == "system" else _read("tls_ca", ca, _MOST_PEM_BYTES),
        private_key=_read("tls_key", key, _MOST_PEM_BYTES) if key else None,
        certificate_chain=_read("tls_cert", cert, _MOST_PEM_BYTES) if cert else None,
    )


def _read(what: str, path: str | os.PathLike[str], most: int) -> bytes:
    """A small file. Raises KasaneError USAGE."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise KasaneError("USAGE", f"{what}: {os.fspath(path)}: {error.strerror}") from error
    if len(data) > most:
        raise KasaneError("USAGE", f"{what}: {os.fspath(path)}: more than {most} bytes: it is another file")
    return data

"""What goes wrong: the coordinator's own errors, and in words what gRPC says where no coordinator answered."""

import re

import grpc


class KasaneError(Exception):
    """An error whose message says what is wrong, where, and how to fix it.

    `code` is one of the codes in docs/troubleshooting.md, such as "JOB_INVALID" or "UNREACHABLE".
    """

    code: str
    message: str

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def explain(error: grpc.RpcError, address: str, secured: bool, answered: bool = False) -> KasaneError:
    """The error of a failed call: the coordinator's own, or what is known of why it did not answer.

    `secured`: the call used TLS. `answered`: a stream had sent something before it failed.
    """
    status, details = error.code(), error.details() or ""
    for key, value in error.trailing_metadata() or ():
        if key == "kasane-error":
            return KasaneError(str(value), details)
    if status is grpc.StatusCode.UNIMPLEMENTED:
        return KasaneError(
            "UNREACHABLE",
            f"the server at {address} does not describe its services; check the port, and that it is a Kasane coordinator "
            "(that of `kasane train` serves only its own command)",
        )
    if status is grpc.StatusCode.UNAVAILABLE and answered:
        return KasaneError(
            "UNREACHABLE",
            f"the coordinator at {address} stopped, or the connection to it broke; its jobs continue once it is back",
        )
    if status is grpc.StatusCode.DEADLINE_EXCEEDED:
        return KasaneError("UNREACHABLE", f"the coordinator at {address} did not answer in time; try again")
    if status is grpc.StatusCode.CANCELLED:
        return KasaneError("UNREACHABLE", f"the coordinator at {address} stopped, or the client was closed, before it answered")
    if status is grpc.StatusCode.UNAVAILABLE:
        return _nobody(details, address, secured)
    return KasaneError("UNREACHABLE", f"the coordinator at {address} failed: {details or status.name}")


def _nobody(details: str, address: str, secured: bool) -> KasaneError:
    """Why a call found no coordinator. gRPC's own words are long and name no remedy."""
    if re.search(r"DNS resolution failed|Name resolution failed|hostname lookup error", details):
        host = address.rpartition(":")[0]
        return KasaneError(
            "UNREACHABLE", f"no coordinator answers at {address}: no host has the name '{host}'; check the address"
        )
    if re.search(r"certificate|CERTIFICATE|Peer name", details):
        return KasaneError(
            "NOT_ALLOWED",
            f"the coordinator at {address}: its certificate is not accepted: it has to be signed by the CA in tls_ca, to cover "
            "this address, and not to have expired",
        )
    if re.search(r"[Hh]andshak|SSL|Socket closed|reset by peer|recvmsg|settings frame|Trying to connect an http1", details):
        why = (
            "if it does not use TLS, omit tls_ca; if it requires client certificates, set tls_cert and tls_key"
            if secured
            else "if it uses TLS, set tls_ca; check the port, too (the dashboard uses a different one)"
        )
        return KasaneError("NOT_ALLOWED", f"the coordinator at {address}: it closes the connection; {why}; its log says why")
    return KasaneError(
        "UNREACHABLE",
        f"no coordinator answers at {address}; start one with `kasane coordinator`, or pass its address: "
        "kasane.Client(address), or KASANE_COORDINATOR",
    )

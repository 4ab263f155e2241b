"""The services of a coordinator, as it describes them itself (gRPC reflection): no generated code, always in step with it."""

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from .errors import KasaneError

Metadata = tuple[tuple[str, str], ...]

REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
_FIELD = descriptor_pb2.FieldDescriptorProto


class Definitions:
    """The messages and methods that a coordinator knows. The classes are made at run time, hence `Any`."""

    def __init__(self, channel: grpc.Channel, metadata: Metadata, timeout: float) -> None:
        """Asks for them. Raises grpc.RpcError, and KasaneError where the server has no such service."""
        self._pool = descriptor_pool.DescriptorPool()
        self._pool.AddSerializedFile(_reflection_file().SerializeToString())
        self._learn(channel, "kasane.v1.Jobs", metadata, timeout)

    def message(self, name: str) -> Any:
        """The class of a message."""
        found = self._pool.FindMessageTypeByName(name)
        # Debian's protobuf has only the latter, later ones only the former.
        if hasattr(message_factory, "GetMessageClass"):
            return message_factory.GetMessageClass(found)
        return message_factory.MessageFactory(self._pool).GetPrototype(found)

    def method(self, channel: grpc.Channel, name: str) -> tuple[Any, Callable[..., Any]]:
        """The request's class of a method of kasane.v1.Jobs, and what calls it."""
        described = self._pool.FindServiceByName("kasane.v1.Jobs").methods_by_name[name]
        start = channel.unary_stream if described.server_streaming else channel.unary_unary
        call = start(
            f"/kasane.v1.Jobs/{name}",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=self.message(described.output_type.full_name).FromString,
        )
        return self.message(described.input_type.full_name), call

    def _learn(self, channel: grpc.Channel, service: str, metadata: Metadata, timeout: float) -> None:
        """Adds the file of a service, and those that it imports."""
        ask = channel.stream_stream(
            REFLECTION,
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=self.message("grpc.reflection.v1.ServerReflectionResponse").FromString,
        )
        request = self.message("grpc.reflection.v1.ServerReflectionRequest")(file_containing_symbol=service)
        waiting: dict[str, tuple[list[str], bytes]] = {}
        for response in ask(iter([request]), metadata=metadata, timeout=timeout):
            for data in response.file_descriptor_response.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(data)
                waiting[file.name] = (list(file.dependency), data)
        if not waiting:
            raise KasaneError("PROTOCOL", f"the server has no service {service}: check the address, it is not a coordinator's")

        def add(name: str) -> None:
            imports, data = waiting.pop(name, ([], b""))
            for imported in imports:
                add(imported)
            if data:
                self._pool.AddSerializedFile(data)

        for name in list(waiting):
            add(name)


def _reflection_file() -> descriptor_pb2.FileDescriptorProto:
    """The part of grpc/reflection/v1/reflection.proto that is needed to ask for everything else."""
    file = descriptor_pb2.FileDescriptorProto(name="reflection", package="grpc.reflection.v1", syntax="proto3")
    request = file.message_type.add(name="ServerReflectionRequest")
    request.field.add(name="file_containing_symbol", number=4, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    descriptors = file.message_type.add(name="FileDescriptorResponse")
    descriptors.field.add(name="file_descriptor_proto", number=1, type=_FIELD.TYPE_BYTES, label=_FIELD.LABEL_REPEATED)
    response = file.message_type.add(name="ServerReflectionResponse")
    response.field.add(
        name="file_descriptor_response",
        number=4,
        type=_FIELD.TYPE_MESSAGE,
        type_name=".grpc.reflection.v1.FileDescriptorResponse",
        label=_FIELD.LABEL_OPTIONAL,
    )
    return file

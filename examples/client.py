"""A client of a coordinator in another language, without generated code: it asks the coordinator what its services are.

    python3 client.py HOST:PORT JOB_FILE WEIGHTS_FILE

Submits the job, prints a JSON object for each epoch and one for the result, and writes the weights (safetensors). Needs grpcio and
protobuf (Debian: python3-grpcio, python3-protobuf). A token is read from KASANE_TOKEN.
"""

import hashlib
import json
import os
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

pool = descriptor_pool.DescriptorPool()


def message(name):
    """The class of a message that the pool knows."""
    found = pool.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(found)
    return message_factory.MessageFactory(pool).GetPrototype(found)


def add_reflection():
    """The part of grpc/reflection/v1/reflection.proto that is needed to ask for everything else."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="reflection", package="grpc.reflection.v1", syntax="proto3")

    def add(name, fields):
        made = file.message_type.add(name=name)
        for field_name, number, kind, label in fields:
            made.field.add(name=field_name, number=number, type=kind, label=label)
        return made

    add("ServerReflectionRequest", [("file_containing_symbol", 4, field.TYPE_STRING, field.LABEL_OPTIONAL)])
    add("FileDescriptorResponse", [("file_descriptor_proto", 1, field.TYPE_BYTES, field.LABEL_REPEATED)])
    response = add("ServerReflectionResponse", [])
    response.field.add(
        name="file_descriptor_response",
        number=4,
        type=field.TYPE_MESSAGE,
        type_name=".grpc.reflection.v1.FileDescriptorResponse",
        label=field.LABEL_OPTIONAL,
    )
    pool.Add(file)


def learn(channel, service, metadata):
    """Adds the service's file, and those that it imports, to the pool."""
    ask = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=message("grpc.reflection.v1.ServerReflectionResponse").FromString,
    )
    request = message("grpc.reflection.v1.ServerReflectionRequest")(file_containing_symbol=service)
    waiting = {}
    for response in ask(iter([request]), metadata=metadata):
        for data in response.file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            waiting[file.name] = file

    def add(name):
        file = waiting.pop(name, None)
        if file is None:
            return
        for imported in file.dependency:
            add(imported)
        pool.Add(file)

    for name in list(waiting):
        add(name)


class Service:
    """A service with a method for each of its calls: keyword arguments are the fields of the request."""

    def __init__(self, channel, name, metadata):
        for method in pool.FindServiceByName(name).methods:
            start = channel.unary_stream if method.server_streaming else channel.unary_unary
            call = start(
                f"/{name}/{method.name}",
                request_serializer=lambda request: request.SerializeToString(),
                response_deserializer=message(method.output_type.full_name).FromString,
            )
            request = message(method.input_type.full_name)
            setattr(self, method.name, self.caller(call, request, metadata))

    @staticmethod
    def caller(call, request, metadata):
        return lambda **fields: call(request(**fields), metadata=metadata)


def main(address, job_file, weights_file):
    token = os.environ.get("KASANE_TOKEN")
    metadata = [("authorization", f"Bearer {token}")] if token else []
    # Web proxies (http_proxy) do not reach a coordinator.
    channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
    add_reflection()
    learn(channel, "kasane.v1.Jobs", metadata)
    jobs = Service(channel, "kasane.v1.Jobs", metadata)

    with open(job_file, encoding="utf-8") as file:
        job = jobs.Submit(job_file=file.read()).job
    seen = 0
    for change in jobs.Watch(job=job):
        # The newest epochs and a selection of older ones; jobs.ListEpochs returns all of them, page by page.
        for epoch in change.job.history:
            if epoch.epoch > seen:
                line = {"epoch": epoch.epoch, "loss": epoch.train_loss, "test": epoch.test_metric}
                print(json.dumps(line), flush=True)
                seen = epoch.epoch
    ended = jobs.Get(job=job).job
    states = pool.FindEnumTypeByName("kasane.v1.JobState").values_by_number
    weights = b""
    if ended.digest:
        weights = b"".join(piece.data for piece in jobs.DownloadModel(job=job))
        with open(weights_file, "wb") as file:
            file.write(weights)
    print(
        json.dumps(
            {
                "job": job,
                "state": states[ended.state].name,
                "error": ended.error,
                "digest": ended.digest,
                "sha256": hashlib.sha256(weights).hexdigest(),
            }
        )
    )


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")

"""Spans and log events, as a collector decodes them: by OpenTelemetry's own messages for Python."""

import base64
import http.server
import json
import threading
import urllib.error
import urllib.request

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import programs

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
MESSAGES = {"/v1/traces": ExportTraceServiceRequest, "/v1/logs": ExportLogsServiceRequest}
CLIENT, SERVER = 3, 2


class Collector:
    """Takes exports and keeps them, decoded."""

    def __init__(self, status=200):
        self.received, self.arrived, self.status = [], threading.Condition(), status
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                message = MESSAGES[self.path]()
                message.ParseFromString(body)
                with collector.arrived:
                    collector.received.append((self.path, dict(self.headers), message))
                    collector.arrived.notify_all()
                self.send_response(collector.status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self, at_least=1):
        return self._wait("/v1/traces", at_least, lambda message: [
            span for group in message.resource_spans
            for scope in group.scope_spans for span in scope.spans
        ])

    def events(self, at_least=1):
        return self._wait("/v1/logs", at_least, lambda message: [
            event for group in message.resource_logs
            for scope in group.scope_logs for event in scope.log_records
        ])

    def _wait(self, path, at_least, items):
        def found():
            return [it for where, _, message in self.received if where == path
                    for it in items(message)]
        with self.arrived:
            assert self.arrived.wait_for(lambda: at_least <= len(found()), timeout=20), found()
            return found()


def attributes(item):
    def value(it):
        kind = it.WhichOneof("value")
        if kind == "array_value":
            return [value(each) for each in it.array_value.values]
        return getattr(it, kind)
    return {it.key: value(it.value) for it in item.attributes}


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.server.shutdown()


@pytest.fixture
def gateway(executables, tmp_path):
    """A gateway with the demonstration's configuration: its first provider fails."""
    running = []

    def start(**variables):
        folder = tmp_path / str(len(running))
        folder.mkdir()
        process = programs.Process(
            executables["lockgate"], "--listen", "127.0.0.1:0", log=folder / "log",
            cwd=folder, env={"PATH": "/usr/bin:/bin", **variables},
        )
        running.append(process)
        return process.line().split()[-1]

    yield start
    for process in running:
        process.stop()


def call(url, model="demo", traceparent=None):
    body = {"model": model, "messages": [{"role": "user", "content": "A secret question"}]}
    headers = {"authorization": "Bearer demo", "content-type": "application/json",
               "x-session-id": "session-1"}
    if traceparent:
        headers["traceparent"] = traceparent
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_call_is_a_span_with_one_below_it_for_each_attempt(gateway, collector):
    url = gateway(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SERVICE_NAME="gate",
                  OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test")
    assert call(url, traceparent=f"00-{TRACE}-{PARENT}-01") == 200
    of_call, *attempts = collector.spans(at_least=3)

    assert {span.trace_id.hex() for span in (of_call, *attempts)} == {TRACE}
    assert of_call.parent_span_id.hex() == PARENT
    assert (of_call.kind, of_call.name) == (SERVER, "chat demo")
    facts = attributes(of_call)
    assert facts["gen_ai.operation.name"] == "chat"
    assert facts["gen_ai.request.model"] == "demo"
    assert facts["http.response.status_code"] == 200
    assert facts["lockgate.attempts"] == len(attempts) == 2
    assert facts["gen_ai.conversation.id"] == "session-1"
    assert 0 < facts["gen_ai.usage.input_tokens"]
    assert "error.type" not in facts

    assert {span.parent_span_id for span in attempts} == {of_call.span_id}
    assert {span.kind for span in attempts} == {CLIENT}
    failed, answered = attempts
    assert failed.status.code == 2 and attributes(failed)["error.type"]
    assert attributes(failed)["lockgate.next"] == "next_target"
    assert answered.status.code == 0
    for span in attempts:
        assert of_call.start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= of_call.end_time_unix_nano + 1_000_000

    _, headers, message = collector.received[0]
    assert headers["content-type"] == "application/x-protobuf"
    resource = attributes(message.resource_spans[0].resource) if hasattr(
        message, "resource_spans") else attributes(message.resource_logs[0].resource)
    assert resource == {"service.name": "gate", "deployment.environment.name": "test"}
    assert b"secret question" not in message.SerializeToString()


def test_every_call_is_a_log_event_of_its_span(gateway, collector):
    url = gateway(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    call(url, traceparent=f"00-{TRACE}-{PARENT}-01")
    call(url, model="unknown")
    good, refused = collector.events(at_least=2)
    assert (good.severity_text, refused.severity_text) == ("INFO", "WARN")
    assert good.trace_id.hex() == TRACE and len(good.span_id) == 8
    assert attributes(refused)["lockgate.outcome"] == "unknown_model"
    assert "next_target" in attributes(good)["lockgate.attempts"]


def test_the_clients_sampled_flag_decides(gateway, collector):
    url = gateway(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_TRACES_SAMPLER_ARG="0")
    call(url, traceparent=f"00-{TRACE}-{PARENT}-00")
    call(url)
    call(url, traceparent=f"00-{TRACE}-{PARENT}-01")
    collector.events(at_least=3)
    assert {span.trace_id.hex() for span in collector.spans()} == {TRACE}
    assert sum(span.kind == SERVER for span in collector.spans()) == 1


def test_grafanas_token_is_its_stacks_password(gateway, collector):
    inside = json.dumps({"o": "1", "n": "stack-4711-otlp", "k": "key"})
    token = "glc_" + base64.b64encode(inside.encode()).decode()
    url = gateway(OTLP_ENDPOINT=collector.url, OTLP_API_KEY=token, OTEL_LOGS_EXPORTER="none")
    call(url)
    collector.spans()
    (path, headers, _), *_ = collector.received
    given = base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode()
    assert (path, given) == ("/v1/traces", f"4711:{token}")
    assert all(path == "/v1/traces" for path, *_ in collector.received)


def test_the_variables_of_an_earlier_gateway_configure_log_events_too(gateway, collector):
    url = gateway(
        OTLP_ENDPOINT=f"{collector.url}/", OTLP_API_KEY="plain-key", OTLP_SERVICE_NAME="old-gate",
        OTLP_RESOURCE_ATTRIBUTES="deployment.environment.name=test,team=blue",
        OTLP_HEADERS="x-scope-orgid=42",
    )
    call(url)
    (event, *_), _ = collector.events(), collector.spans()
    assert attributes(event)["lockgate.outcome"] == "success"
    for path, headers, message in collector.received:
        given = base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode()
        assert given == "plain-key:" and headers["x-scope-orgid"] == "42"
        groups = message.resource_logs if path == "/v1/logs" else message.resource_spans
        assert attributes(groups[0].resource) == {
            "service.name": "old-gate", "deployment.environment.name": "test", "team": "blue",
        }


def test_a_collector_that_fails_costs_no_call(gateway, collector):
    collector.status = 500
    url = gateway(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert [call(url) for _ in range(3)] == [200] * 3

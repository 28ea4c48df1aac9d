"""What each wire format looks like at a provider: responses to script, and requests as plain values.

A test scripts a provider's response as `ScriptedResponse`, and gets its request back as a list of plain
tuples, so that it can be written once and hold for each provider.
"""

import base64
import json
from dataclasses import dataclass, field


@dataclass
class Call:
    """The model's wish to have a tool called."""

    id: str
    name: str
    arguments: dict


@dataclass
class ScriptedResponse:
    """One answer. It took 9 tokens in and 12 out."""

    text: str = ""
    reasoning: str = ""
    signature: str = ""
    calls: list[Call] = field(default_factory=list)
    # Whether it stopped because there was no room for more.
    full: bool = False


def frame(data, event=None):
    """One server-sent event, as a step of a script."""
    name = f"event: {event}\n" if event else ""
    return {"frame": f"{name}data: {data if isinstance(data, str) else json.dumps(data)}\n\n"}


def halves(text):
    """A text in two deltas, as streams send it."""
    middle = (len(text) + 1) // 2
    return [chunk for chunk in (text[:middle], text[middle:]) if chunk]


class Wire:
    """A format. A provider's name in the configuration is the wire's own."""

    name: str
    serves = "some-model"
    # How it says that something has 7 tokens; nothing if it cannot count.
    count = None

    def model(self, name=None):
        """What a client asks for to get to this provider alone."""
        return f"{self.name}/{name or self.serves}"

    def whole(self, scripted):
        """An answer in one piece."""
        return {"json": self.answer(scripted)}

    def stream(self, scripted):
        """The same in deltas, up to its proper end."""
        return {"stream": [*self.chunks(scripted), *self.end(scripted)]}

    def answers(self, scripted, stream):
        """One or the other."""
        return self.stream(scripted) if stream else self.whole(scripted)

    def broken(self, scripted):
        """A stream in which the provider fails after all of this."""
        return {"stream": [*self.chunks(scripted), *self.trouble()]}

    def cut(self, scripted):
        """A stream that just ends after all of this."""
        return {"stream": [*self.chunks(scripted), "cut"]}

    def failure(self, status, message, **headers):
        """An answer that is none."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return {"json": self.error(status, message), "status": status, "headers": named}


class Chat(Wire):
    """OpenAI Chat Completions. It has no word for a signature."""

    name, signs = "chat", False
    head = {"id": "chatcmpl-1", "created": 1741569952, "model": "some-model-1"}
    usage = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}

    def answer(self, scripted):
        message = {"role": "assistant", "content": scripted.text or None}
        if scripted.reasoning:
            message["reasoning_content"] = scripted.reasoning
        if scripted.calls:
            message["tool_calls"] = [self.call(call) for call in scripted.calls]
        choice = {"index": 0, "message": message, "finish_reason": self.reason(scripted)}
        return {**self.head, "object": "chat.completion", "choices": [choice], "usage": self.usage}

    def chunks(self, scripted):
        yield self.delta(role="assistant", content="")
        for chunk in halves(scripted.reasoning):
            yield self.delta(reasoning_content=chunk)
        for chunk in halves(scripted.text):
            yield self.delta(content=chunk)
        for index, call in enumerate(scripted.calls):
            whole = self.call(call)
            arguments = whole["function"]["arguments"]
            whole["function"]["arguments"] = ""
            yield self.delta(tool_calls=[{"index": index, **whole}])
            for chunk in halves(arguments):
                yield self.delta(tool_calls=[{"index": index, "function": {"arguments": chunk}}])

    def end(self, scripted):
        yield self.chunk([{"index": 0, "delta": {}, "finish_reason": self.reason(scripted)}])
        yield self.chunk([], usage=self.usage)
        yield frame("[DONE]")

    def trouble(self):
        yield frame(self.error(500, "we broke"))

    def error(self, status, message):
        return {"error": {"message": message, "type": "some_error", "param": None, "code": None}}

    def received(self, body):
        known, received = {}, []
        for message in body["messages"]:
            role, content = message["role"], message.get("content")
            if role == "tool":
                received.append(("result", *known[message["tool_call_id"]], text_of(content)))
                continue
            for part in parts_of(content):
                if part["type"] == "image_url":
                    received.append(("image", bytes_of(part["image_url"]["url"])))
                else:
                    received.append(("system" if role == "developer" else role, part["text"]))
            for call in message.get("tool_calls", []):
                arguments = json.loads(call["function"]["arguments"])
                known[call["id"]] = (call["function"]["name"], arguments)
                received.append(("call", *known[call["id"]]))
        return received

    def tools(self, body):
        functions = [tool["function"] for tool in body["tools"]]
        return {function["name"]: function["parameters"] for function in functions}

    def schema(self, body):
        return body["response_format"]["json_schema"]["schema"]

    def reason(self, scripted):
        return "length" if scripted.full else "tool_calls" if scripted.calls else "stop"

    def call(self, call):
        function = {"name": call.name, "arguments": json.dumps(call.arguments)}
        return {"id": call.id, "type": "function", "function": function}

    def delta(self, **fields):
        return self.chunk([{"index": 0, "delta": fields, "finish_reason": None}])

    def chunk(self, choices, **more):
        head = {**self.head, "object": "chat.completion.chunk"}
        return frame({**head, "choices": choices, **more})


class Claude(Wire):
    """Anthropic Messages. The features of a model follow from its name."""

    name, signs = "claude", True
    serves = "claude-sonnet-4-5"
    count = {"input_tokens": 7}
    usage = {"input_tokens": 9, "output_tokens": 12}

    def answer(self, scripted):
        return {**self.message(self.blocks(scripted), self.usage), "stop_reason": self.reason(scripted)}

    def chunks(self, scripted):
        start = self.message([], {"input_tokens": 9, "output_tokens": 1})
        yield self.event("message_start", message=start)
        for index, block in enumerate(self.blocks(scripted)):
            kind = block["type"]
            empty = {
                "thinking": {"type": kind, "thinking": "", "signature": ""},
                "text": {"type": kind, "text": ""},
                "tool_use": {**block, "input": {}},
            }[kind]
            yield self.event("content_block_start", index=index, content_block=empty)
            for delta in self.deltas(block):
                yield self.event("content_block_delta", index=index, delta=delta)
            yield self.event("content_block_stop", index=index)

    def end(self, scripted):
        delta = {"stop_reason": self.reason(scripted), "stop_sequence": None}
        yield self.event("message_delta", delta=delta, usage={"output_tokens": 12})
        yield self.event("message_stop")

    def trouble(self):
        yield frame(self.error(529, "we broke"), "error")

    def error(self, status, message):
        kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}

    def received(self, body):
        known = {}
        received = [("system", part["text"]) for part in parts_of(body.get("system"))]
        for message in body["messages"]:
            for part in parts_of(message["content"]):
                kind = part["type"]
                if kind == "text":
                    received.append((message["role"], part["text"]))
                elif kind == "thinking":
                    received.append(("signed", part["signature"]))
                elif kind == "image":
                    received.append(("image", base64.b64decode(part["source"]["data"])))
                elif kind == "tool_use":
                    known[part["id"]] = (part["name"], part["input"])
                    received.append(("call", *known[part["id"]]))
                else:
                    result = known[part["tool_use_id"]]
                    received.append(("result", *result, text_of(part["content"])))
        return received

    def tools(self, body):
        return {tool["name"]: tool["input_schema"] for tool in body["tools"]}

    def schema(self, body):
        return body["output_config"]["format"]["schema"]

    def reason(self, scripted):
        return "max_tokens" if scripted.full else "tool_use" if scripted.calls else "end_turn"

    def blocks(self, scripted):
        if scripted.reasoning:
            yield {"type": "thinking", "thinking": scripted.reasoning, "signature": scripted.signature}
        if scripted.text:
            yield {"type": "text", "text": scripted.text}
        for call in scripted.calls:
            yield {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}

    def deltas(self, block):
        kind = block["type"]
        if kind == "tool_use":
            arguments = halves(json.dumps(block["input"]))
            return [{"type": "input_json_delta", "partial_json": it} for it in arguments]
        deltas = [{"type": f"{kind}_delta", kind: chunk} for chunk in halves(block[kind])]
        if kind == "thinking":
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return deltas

    def message(self, content, usage):
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "some-model-1",
            "content": list(content), "stop_reason": None, "stop_sequence": None, "usage": usage,
        }

    def event(self, kind, **fields):
        return frame({"type": kind, **fields}, kind)


class Gemini(Wire):
    """Gemini. Its calls have no ids here, as they mostly have not."""

    name, signs = "gemini", True
    count = {"totalTokens": 7}

    def answer(self, scripted):
        return self.chunk(self.parts(scripted), finishReason=self.reason(scripted))

    def chunks(self, scripted):
        for part in self.parts(scripted):
            split = halves(part["text"]) if "text" in part else [None]
            for text in split:
                yield frame(self.chunk([part if text is None else {**part, "text": text}]))

    def end(self, scripted):
        yield frame(self.chunk([{"text": ""}], finishReason=self.reason(scripted)))

    def trouble(self):
        yield frame(self.error(503, "we broke"))

    def error(self, status, message):
        name = {429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}.get(status, "INTERNAL")
        return {"error": {"code": status, "message": message, "status": name}}

    def received(self, body):
        known, received = [], []
        system = body.get("systemInstruction", {}).get("parts", [])
        received.extend(("system", part["text"]) for part in system)
        for content in body["contents"]:
            role = "assistant" if content["role"] == "model" else "user"
            for part in content["parts"]:
                if "thoughtSignature" in part:
                    received.append(("signed", part["thoughtSignature"]))
                if "inlineData" in part:
                    received.append(("image", base64.b64decode(part["inlineData"]["data"])))
                elif "functionCall" in part:
                    call = part["functionCall"]
                    known.append((call["name"], call["args"]))
                    received.append(("call", *known[-1]))
                elif "functionResponse" in part:
                    response = part["functionResponse"]["response"]
                    # Some clients say the tool's name beside it once more.
                    [result] = [it for key, it in response.items() if key != "name"]
                    received.append(("result", *known.pop(0), result))
                elif part["text"] and not part.get("thought"):
                    received.append((role, part["text"]))
        return received

    def tools(self, body):
        [tool] = body["tools"]
        names = ("parametersJsonSchema", "parameters_json_schema", "parameters")
        return {
            function["name"]: next(function[name] for name in names if name in function)
            for function in tool["functionDeclarations"]
        }

    def schema(self, body):
        config = body["generationConfig"]
        return config.get("responseJsonSchema") or config["responseSchema"]

    def reason(self, scripted):
        return "MAX_TOKENS" if scripted.full else "STOP"

    def parts(self, scripted):
        signature = {"thoughtSignature": scripted.signature} if scripted.signature else {}
        if scripted.reasoning:
            yield {"text": scripted.reasoning, "thought": True}
        if scripted.text:
            yield {"text": scripted.text} | ({} if scripted.calls else signature)
        for index, call in enumerate(scripted.calls):
            function = {"name": call.name, "args": call.arguments}
            yield {"functionCall": function} | (signature if index == 0 else {})

    def chunk(self, parts, **more):
        usage = {"promptTokenCount": 9, "candidatesTokenCount": 12, "totalTokenCount": 21}
        content = {"role": "model", "parts": list(parts)}
        return {
            "candidates": [{"index": 0, "content": content, **more}],
            "usageMetadata": usage, "modelVersion": "some-model-1", "responseId": "answer1",
        }


class Responses(Wire):
    """OpenAI Responses."""

    name, signs = "responses", True
    usage = {
        "input_tokens": 9, "output_tokens": 12, "total_tokens": 21,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }

    def answer(self, scripted):
        why = {"incomplete_details": {"reason": "max_output_tokens"}} if scripted.full else {}
        return self.response(self.status(scripted), list(self.items(scripted)), usage=self.usage, **why)

    def chunks(self, scripted):
        yield self.event("response.created", response=self.response("in_progress", []))
        for index, item in enumerate(self.items(scripted)):
            kind = item["type"]
            emptied = {"reasoning": "summary", "message": "content", "function_call": "arguments"}
            name = emptied[kind]
            empty = {**item, name: type(item[name])()}
            yield self.event("response.output_item.added", output_index=index, item=empty)
            for event, fields in self.deltas(item):
                at = {"item_id": item["id"], "output_index": index}
                yield self.event(f"response.{event}", **at, **fields)
            yield self.event("response.output_item.done", output_index=index, item=item)

    def end(self, scripted):
        yield self.event(f"response.{self.status(scripted)}", response=self.answer(scripted))

    def trouble(self):
        error = {"code": "server_error", "message": "we broke"}
        yield self.event("response.failed", response=self.response("failed", [], error=error))

    def error(self, status, message):
        return Chat.error(self, status, message)

    def received(self, body):
        known = {}
        received = [("system", part["text"]) for part in parts_of(body.get("instructions"))]
        given = body["input"]
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        for item in items:
            kind = item.get("type", "message")
            if kind == "function_call":
                known[item["call_id"]] = (item["name"], json.loads(item["arguments"]))
                received.append(("call", *known[item["call_id"]]))
            elif kind == "function_call_output":
                received.append(("result", *known[item["call_id"]], text_of(item["output"])))
            elif kind == "reasoning":
                received.append(("signed", item["encrypted_content"]))
            else:
                role = "system" if item["role"] == "developer" else item["role"]
                for part in parts_of(item["content"]):
                    if part["type"] == "input_image":
                        received.append(("image", bytes_of(part["image_url"])))
                    else:
                        received.append((role, part["text"]))
        return received

    def tools(self, body):
        return {tool["name"]: tool["parameters"] for tool in body["tools"]}

    def schema(self, body):
        return body["text"]["format"]["schema"]

    def status(self, scripted):
        return "incomplete" if scripted.full else "completed"

    def items(self, scripted):
        if scripted.reasoning:
            summary = [{"type": "summary_text", "text": scripted.reasoning}]
            sealed = {"encrypted_content": scripted.signature or None}
            yield {"type": "reasoning", "id": "rs_1", "summary": summary, **sealed}
        if scripted.text:
            part = {"type": "output_text", "text": scripted.text, "annotations": [], "logprobs": []}
            head = {"type": "message", "id": "msg_1", "role": "assistant"}
            yield {**head, "status": self.status(scripted), "content": [part]}
        for call in scripted.calls:
            yield {
                "type": "function_call", "id": f"fc_{call.id}", "call_id": call.id,
                "name": call.name, "arguments": json.dumps(call.arguments), "status": "completed",
            }

    def deltas(self, item):
        if item["type"] == "reasoning":
            at, [part] = {"summary_index": 0}, item["summary"]
            yield "reasoning_summary_part.added", {**at, "part": {**part, "text": ""}}
            for chunk in halves(part["text"]):
                yield "reasoning_summary_text.delta", {**at, "delta": chunk}
            yield "reasoning_summary_text.done", {**at, "text": part["text"]}
            yield "reasoning_summary_part.done", {**at, "part": part}
        elif item["type"] == "message":
            at, [part] = {"content_index": 0}, item["content"]
            yield "content_part.added", {**at, "part": {**part, "text": ""}}
            for chunk in halves(part["text"]):
                yield "output_text.delta", {**at, "delta": chunk, "logprobs": []}
            yield "output_text.done", {**at, "text": part["text"], "logprobs": []}
            yield "content_part.done", {**at, "part": part}
        else:
            for chunk in halves(item["arguments"]):
                yield "function_call_arguments.delta", {"delta": chunk}
            done = {"name": item["name"], "arguments": item["arguments"]}
            yield "function_call_arguments.done", done

    def response(self, status, output, **more):
        return {
            "id": "resp_1", "object": "response", "created_at": 1741569952, "status": status,
            "model": "some-model-1", "output": output, "error": None, "incomplete_details": None,
            "instructions": None, "metadata": {}, "parallel_tool_calls": True, "tools": [],
            "tool_choice": "auto", "temperature": 1, "top_p": 1, **more,
        }

    def event(self, kind, **fields):
        return frame({"type": kind, "sequence_number": 0, **fields}, kind)


def parts_of(content):
    """A content that may be a text, or nothing, as a list of parts."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content or []


def text_of(content):
    return "".join(part["text"] for part in parts_of(content))


def bytes_of(url):
    head, data = url.split(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(data)


ALL = [Chat(), Claude(), Gemini(), Responses()]
BY_NAME = {wire.name: wire for wire in ALL}

"""What providers say and hear, once for every wire format that they speak.

A test says what a provider answers as `Said`, and gets back what it was asked as a list of plain
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
class Said:
    """One answer. It took 9 tokens in and 12 out."""

    text: str = ""
    thought: str = ""
    signature: str = ""
    calls: list[Call] = field(default_factory=list)
    # Whether it stopped because there was no room for more.
    full: bool = False


def frame(data, event=None):
    """One server-sent event, as a step of a script."""
    name = f"event: {event}\n" if event else ""
    return {"frame": f"{name}data: {data if isinstance(data, str) else json.dumps(data)}\n\n"}


def halves(text):
    """A text in two pieces, as streams bring it."""
    middle = (len(text) + 1) // 2
    return [piece for piece in (text[:middle], text[middle:]) if piece]


class Wire:
    """A format. A provider's name in the configuration is the wire's own."""

    name: str
    serves = "some-model"
    # How it says that something has 7 tokens; nothing if it cannot count.
    count = None

    def model(self, name=None):
        """What a client asks for to get to this provider alone."""
        return f"{self.name}/{name or self.serves}"

    def whole(self, said):
        """An answer in one piece."""
        return {"json": self.answer(said)}

    def stream(self, said):
        """The same in pieces, up to its proper end."""
        return {"stream": [*self.pieces(said), *self.end(said)]}

    def answers(self, said, stream):
        """One or the other."""
        return self.stream(said) if stream else self.whole(said)

    def broken(self, said):
        """A stream in which the provider fails after all of this."""
        return {"stream": [*self.pieces(said), *self.trouble()]}

    def cut(self, said):
        """A stream that just ends after all of this."""
        return {"stream": [*self.pieces(said), "cut"]}

    def failure(self, status, message, **headers):
        """An answer that is none."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return {"json": self.error(status, message), "status": status, "headers": named}


class Chat(Wire):
    """OpenAI Chat Completions. It has no word for a signature."""

    name, signs = "chat", False
    head = {"id": "chatcmpl-1", "created": 1741569952, "model": "some-model-1"}
    usage = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}

    def answer(self, said):
        message = {"role": "assistant", "content": said.text or None}
        if said.thought:
            message["reasoning_content"] = said.thought
        if said.calls:
            message["tool_calls"] = [self.call(call) for call in said.calls]
        choice = {"index": 0, "message": message, "finish_reason": self.reason(said)}
        return {**self.head, "object": "chat.completion", "choices": [choice], "usage": self.usage}

    def pieces(self, said):
        yield self.delta(role="assistant", content="")
        for piece in halves(said.thought):
            yield self.delta(reasoning_content=piece)
        for piece in halves(said.text):
            yield self.delta(content=piece)
        for index, call in enumerate(said.calls):
            whole = self.call(call)
            arguments = whole["function"]["arguments"]
            whole["function"]["arguments"] = ""
            yield self.delta(tool_calls=[{"index": index, **whole}])
            for piece in halves(arguments):
                yield self.delta(tool_calls=[{"index": index, "function": {"arguments": piece}}])

    def end(self, said):
        yield self.chunk([{"index": 0, "delta": {}, "finish_reason": self.reason(said)}])
        yield self.chunk([], usage=self.usage)
        yield frame("[DONE]")

    def trouble(self):
        yield frame(self.error(500, "we broke"))

    def error(self, status, message):
        return {"error": {"message": message, "type": "some_error", "param": None, "code": None}}

    def heard(self, body):
        known, heard = {}, []
        for message in body["messages"]:
            role, content = message["role"], message.get("content")
            if role == "tool":
                heard.append(("result", *known[message["tool_call_id"]], text_of(content)))
                continue
            for part in parts_of(content):
                if part["type"] == "image_url":
                    heard.append(("image", bytes_of(part["image_url"]["url"])))
                else:
                    heard.append(("system" if role == "developer" else role, part["text"]))
            for call in message.get("tool_calls", []):
                arguments = json.loads(call["function"]["arguments"])
                known[call["id"]] = (call["function"]["name"], arguments)
                heard.append(("call", *known[call["id"]]))
        return heard

    def tools(self, body):
        functions = [tool["function"] for tool in body["tools"]]
        return {function["name"]: function["parameters"] for function in functions}

    def schema(self, body):
        return body["response_format"]["json_schema"]["schema"]

    def reason(self, said):
        return "length" if said.full else "tool_calls" if said.calls else "stop"

    def call(self, call):
        function = {"name": call.name, "arguments": json.dumps(call.arguments)}
        return {"id": call.id, "type": "function", "function": function}

    def delta(self, **fields):
        return self.chunk([{"index": 0, "delta": fields, "finish_reason": None}])

    def chunk(self, choices, **more):
        head = {**self.head, "object": "chat.completion.chunk"}
        return frame({**head, "choices": choices, **more})


class Claude(Wire):
    """Anthropic Messages. What a model can do is told by its name."""

    name, signs = "claude", True
    serves = "claude-sonnet-4-5"
    count = {"input_tokens": 7}
    usage = {"input_tokens": 9, "output_tokens": 12}

    def answer(self, said):
        return {**self.message(self.blocks(said), self.usage), "stop_reason": self.reason(said)}

    def pieces(self, said):
        start = self.message([], {"input_tokens": 9, "output_tokens": 1})
        yield self.event("message_start", message=start)
        for index, block in enumerate(self.blocks(said)):
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

    def end(self, said):
        delta = {"stop_reason": self.reason(said), "stop_sequence": None}
        yield self.event("message_delta", delta=delta, usage={"output_tokens": 12})
        yield self.event("message_stop")

    def trouble(self):
        yield frame(self.error(529, "we broke"), "error")

    def error(self, status, message):
        kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}

    def heard(self, body):
        known = {}
        heard = [("system", part["text"]) for part in parts_of(body.get("system"))]
        for message in body["messages"]:
            for part in parts_of(message["content"]):
                kind = part["type"]
                if kind == "text":
                    heard.append((message["role"], part["text"]))
                elif kind == "thinking":
                    heard.append(("signed", part["signature"]))
                elif kind == "image":
                    heard.append(("image", base64.b64decode(part["source"]["data"])))
                elif kind == "tool_use":
                    known[part["id"]] = (part["name"], part["input"])
                    heard.append(("call", *known[part["id"]]))
                else:
                    result = known[part["tool_use_id"]]
                    heard.append(("result", *result, text_of(part["content"])))
        return heard

    def tools(self, body):
        return {tool["name"]: tool["input_schema"] for tool in body["tools"]}

    def schema(self, body):
        return body["output_config"]["format"]["schema"]

    def reason(self, said):
        return "max_tokens" if said.full else "tool_use" if said.calls else "end_turn"

    def blocks(self, said):
        if said.thought:
            yield {"type": "thinking", "thinking": said.thought, "signature": said.signature}
        if said.text:
            yield {"type": "text", "text": said.text}
        for call in said.calls:
            yield {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}

    def deltas(self, block):
        kind = block["type"]
        if kind == "tool_use":
            arguments = halves(json.dumps(block["input"]))
            return [{"type": "input_json_delta", "partial_json": it} for it in arguments]
        deltas = [{"type": f"{kind}_delta", kind: piece} for piece in halves(block[kind])]
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

    def answer(self, said):
        return self.chunk(self.parts(said), finishReason=self.reason(said))

    def pieces(self, said):
        for part in self.parts(said):
            split = halves(part["text"]) if "text" in part else [None]
            for text in split:
                yield frame(self.chunk([part if text is None else {**part, "text": text}]))

    def end(self, said):
        yield frame(self.chunk([{"text": ""}], finishReason=self.reason(said)))

    def trouble(self):
        yield frame(self.error(503, "we broke"))

    def error(self, status, message):
        name = {429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}.get(status, "INTERNAL")
        return {"error": {"code": status, "message": message, "status": name}}

    def heard(self, body):
        known, heard = [], []
        system = body.get("systemInstruction", {}).get("parts", [])
        heard.extend(("system", part["text"]) for part in system)
        for content in body["contents"]:
            role = "assistant" if content["role"] == "model" else "user"
            for part in content["parts"]:
                if "thoughtSignature" in part:
                    heard.append(("signed", part["thoughtSignature"]))
                if "inlineData" in part:
                    heard.append(("image", base64.b64decode(part["inlineData"]["data"])))
                elif "functionCall" in part:
                    call = part["functionCall"]
                    known.append((call["name"], call["args"]))
                    heard.append(("call", *known[-1]))
                elif "functionResponse" in part:
                    response = part["functionResponse"]["response"]
                    # Some clients say the tool's name beside it once more.
                    [result] = [it for key, it in response.items() if key != "name"]
                    heard.append(("result", *known.pop(0), result))
                elif part["text"] and not part.get("thought"):
                    heard.append((role, part["text"]))
        return heard

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

    def reason(self, said):
        return "MAX_TOKENS" if said.full else "STOP"

    def parts(self, said):
        signature = {"thoughtSignature": said.signature} if said.signature else {}
        if said.thought:
            yield {"text": said.thought, "thought": True}
        if said.text:
            yield {"text": said.text} | ({} if said.calls else signature)
        for index, call in enumerate(said.calls):
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

    def answer(self, said):
        why = {"incomplete_details": {"reason": "max_output_tokens"}} if said.full else {}
        return self.response(self.status(said), list(self.items(said)), usage=self.usage, **why)

    def pieces(self, said):
        yield self.event("response.created", response=self.response("in_progress", []))
        for index, item in enumerate(self.items(said)):
            kind = item["type"]
            emptied = {"reasoning": "summary", "message": "content", "function_call": "arguments"}
            name = emptied[kind]
            empty = {**item, name: type(item[name])()}
            yield self.event("response.output_item.added", output_index=index, item=empty)
            for event, fields in self.deltas(item):
                at = {"item_id": item["id"], "output_index": index}
                yield self.event(f"response.{event}", **at, **fields)
            yield self.event("response.output_item.done", output_index=index, item=item)

    def end(self, said):
        yield self.event(f"response.{self.status(said)}", response=self.answer(said))

    def trouble(self):
        error = {"code": "server_error", "message": "we broke"}
        yield self.event("response.failed", response=self.response("failed", [], error=error))

    def error(self, status, message):
        return Chat.error(self, status, message)

    def heard(self, body):
        known = {}
        heard = [("system", part["text"]) for part in parts_of(body.get("instructions"))]
        given = body["input"]
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        for item in items:
            kind = item.get("type", "message")
            if kind == "function_call":
                known[item["call_id"]] = (item["name"], json.loads(item["arguments"]))
                heard.append(("call", *known[item["call_id"]]))
            elif kind == "function_call_output":
                heard.append(("result", *known[item["call_id"]], text_of(item["output"])))
            elif kind == "reasoning":
                heard.append(("signed", item["encrypted_content"]))
            else:
                role = "system" if item["role"] == "developer" else item["role"]
                for part in parts_of(item["content"]):
                    if part["type"] == "input_image":
                        heard.append(("image", bytes_of(part["image_url"])))
                    else:
                        heard.append((role, part["text"]))
        return heard

    def tools(self, body):
        return {tool["name"]: tool["parameters"] for tool in body["tools"]}

    def schema(self, body):
        return body["text"]["format"]["schema"]

    def status(self, said):
        return "incomplete" if said.full else "completed"

    def items(self, said):
        if said.thought:
            summary = [{"type": "summary_text", "text": said.thought}]
            sealed = {"encrypted_content": said.signature or None}
            yield {"type": "reasoning", "id": "rs_1", "summary": summary, **sealed}
        if said.text:
            part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
            head = {"type": "message", "id": "msg_1", "role": "assistant"}
            yield {**head, "status": self.status(said), "content": [part]}
        for call in said.calls:
            yield {
                "type": "function_call", "id": f"fc_{call.id}", "call_id": call.id,
                "name": call.name, "arguments": json.dumps(call.arguments), "status": "completed",
            }

    def deltas(self, item):
        if item["type"] == "reasoning":
            at, [part] = {"summary_index": 0}, item["summary"]
            yield "reasoning_summary_part.added", {**at, "part": {**part, "text": ""}}
            for piece in halves(part["text"]):
                yield "reasoning_summary_text.delta", {**at, "delta": piece}
            yield "reasoning_summary_text.done", {**at, "text": part["text"]}
            yield "reasoning_summary_part.done", {**at, "part": part}
        elif item["type"] == "message":
            at, [part] = {"content_index": 0}, item["content"]
            yield "content_part.added", {**at, "part": {**part, "text": ""}}
            for piece in halves(part["text"]):
                yield "output_text.delta", {**at, "delta": piece, "logprobs": []}
            yield "output_text.done", {**at, "text": part["text"], "logprobs": []}
            yield "content_part.done", {**at, "part": part}
        else:
            for piece in halves(item["arguments"]):
                yield "function_call_arguments.delta", {"delta": piece}
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

"""OpenAI's own client, for audio, images, moderation, files and batches."""

import io
import json

import openai
import pytest

ROUTE = "dynamic/n8n"
AUDIO = bytes(range(128)) * 400


def test_speech_keeps_its_bytes(client, provider):
    text = "ID3" + "x" * 100_000
    provider.script({"raw": text, "content_type": "audio/mpeg"})
    with client.audio.speech.with_streaming_response.create(
        model=ROUTE, voice="alloy", input="Hello",
    ) as response:
        assert response.headers["content-type"] == "audio/mpeg"
        assert response.read() == text.encode()
    assert provider.seen()[0]["json"] == {"model": "fast", "voice": "alloy", "input": "Hello"}


@pytest.mark.parametrize("kind", ["transcriptions", "translations"])
def test_audio_is_transcribed_after_a_failure(client, provider, kind):
    provider.script(
        {"error": {"type": "server_error", "message": "we broke"}, "status": 500},
        {"json": {"text": "Hello", "usage": {"type": "duration", "seconds": 2}}},
    )
    file = ("a.wav", io.BytesIO(AUDIO), "audio/wav")
    found = getattr(client.audio, kind).create(model=ROUTE, file=file)
    assert found.text == "Hello"
    assert provider.requested_providers() == ["first", "second"]


def test_a_transcript_may_be_plain_text(client, provider):
    provider.script({"raw": "Hello there\n", "content_type": "text/plain; charset=utf-8"})
    file = ("a.wav", io.BytesIO(AUDIO), "audio/wav")
    found = client.audio.transcriptions.create(model=ROUTE, file=file, response_format="text")
    assert found == "Hello there\n"


def test_images_are_made_and_edited(client, provider):
    provider.script({"json": {"created": 1, "data": [{"b64_json": "AAAA"}]}})
    made = client.images.generate(model=ROUTE, prompt="a cat")
    assert made.data[0].b64_json == "AAAA"
    image = ("a.png", io.BytesIO(b"\x89PNG"), "image/png")
    edited = client.images.edit(model=ROUTE, prompt="a dog", image=image)
    assert edited.data[0].b64_json == "AAAA"
    targets = [request["target"] for request in provider.seen()]
    assert targets == ["/first/images/generations", "/first/images/edits"]


def test_texts_are_moderated(client, provider):
    provider.script({"json": {"id": "modr-1", "model": "m", "results": []}})
    assert client.moderations.create(model=ROUTE, input="Hello").id == "modr-1"


def test_documents_are_reranked(client, provider):
    provider.script({"json": {"results": [{"index": 1, "relevance_score": 0.9}]}})
    body = {"model": ROUTE, "query": "q", "documents": ["a", "b"]}
    found = client.post("/rerank", body=body, cast_to=object)
    assert found["results"][0]["index"] == 1
    assert provider.seen()[0]["json"] == {**body, "model": "fast"}


def test_a_batch_is_made_of_a_file(client, provider):
    provider.script({"json": {"id": "file-1", "object": "file", "bytes": 2, "created_at": 1,
                              "filename": "a.jsonl", "purpose": "batch", "status": "processed"}})
    file = client.files.create(file=("a.jsonl", io.BytesIO(b"{}")), purpose="batch")
    assert file.id == "file-1"
    provider.script({"json": {"id": "batch_1", "object": "batch", "status": "validating",
                              "endpoint": "/v1/chat/completions", "input_file_id": "file-1",
                              "completion_window": "24h", "created_at": 1}})
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h",
    )
    assert client.batches.retrieve(batch.id).status == "validating"
    assert client.batches.cancel(batch.id).id == "batch_1"
    provider.script({"raw": json.dumps({"a": 1}), "content_type": "application/jsonl"})
    assert client.files.content("file-1").text == '{"a": 1}'


def test_an_unknown_model_raises_not_found_error(client):
    with pytest.raises(openai.NotFoundError):
        client.moderations.create(model="no-such-model", input="a")

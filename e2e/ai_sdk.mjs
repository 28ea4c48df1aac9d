// Vercel's AI SDK, which opencode and many others are built on, told line by line what to ask:
// a line of JSON in, a line of JSON out. It ends when its input does.

import { createInterface } from "node:readline";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, isStepCount, jsonSchema, Output, streamText } from "ai";

const clients = {
  chat: (url, apiKey, model) => createOpenAI({ baseURL: `${url}/v1`, apiKey }).chat(model),
  responses: (url, apiKey, model) => createOpenAI({ baseURL: `${url}/v1`, apiKey }).responses(model),
  anthropic: (url, apiKey, model) => createAnthropic({ baseURL: `${url}/v1`, apiKey })(model),
  google: (url, apiKey, model) =>
    createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey })(`models/${model}`),
  compatible: (url, apiKey, model) =>
    createOpenAICompatible({
      name: "gateway",
      baseURL: `${url}/v1`,
      apiKey,
      includeUsage: true,
      supportsStructuredOutputs: true,
    })(model),
};

function asked({ url, key, client, model, prompt, system, weather, schema }) {
  return {
    model: clients[client](url, key, model),
    prompt,
    system,
    maxRetries: 0,
    stopWhen: isStepCount(3),
    // Nothing is stored here, so thoughts travel with their turns.
    providerOptions: {
      openai: { store: false },
      anthropic: { structuredOutputMode: "outputFormat" },
    },
    maxOutputTokens: 64,
    ...(weather && {
      tools: {
        weather: { inputSchema: jsonSchema(weather.schema), execute: ({ city }) => weather.of[city] },
      },
    }),
    ...(schema && { output: Output.object({ schema: jsonSchema(schema) }) }),
  };
}

async function told(question) {
  let trouble;
  const onError = ({ error }) => {
    trouble ??= error;
  };
  const result = question.stream
    ? streamText({ ...asked(question), onError })
    : await generateText(asked(question));
  let heard = "";
  if (question.stream) {
    for await (const piece of result.textStream) heard += piece;
  }
  if (trouble) return { heard, error: failure(trouble) };
  const [steps, usage] = await Promise.all([result.steps, result.usage]);
  return {
    text: await result.text,
    finish: await result.finishReason,
    thoughts: steps.map((step) => step.reasoningText ?? ""),
    calls: steps.map((step) => step.toolCalls.map((call) => [call.toolName, call.input])),
    usage: [usage.inputTokens, usage.outputTokens],
    warnings: steps.flatMap((step) => step.warnings ?? []),
    ...(question.schema && { output: await result.output }),
  };
}

function failure(error) {
  const { name, message, statusCode, isRetryable, responseHeaders } = error;
  return { name, message, status: statusCode, isRetryable, wait: responseHeaders?.["retry-after"] };
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await told(JSON.parse(line)).catch((error) => ({ error: failure(error) }));
  console.log(JSON.stringify(answer));
}

//! Client setup: what to paste into each client, with the gateway's own address.

use askama::Template;

use crate::shell::Shell;

/// What stands for the key as long as none is given.
pub const KEY_PLACEHOLDER: &str = "YOUR_KEY";

/// The page of client setup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "setup.html")]
pub struct Setup {
    /// What surrounds the page.
    pub shell: Shell,
    /// Names that can be chosen as model.
    pub models: Vec<String>,
    /// The model in the snippets.
    pub model: String,
    /// Whether the snippets hold a key that is shown only now.
    pub has_key: bool,
    /// The snippets.
    pub snippets: Vec<Snippet>,
}

/// What to paste into one client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snippet {
    /// The name within the page.
    pub id: &'static str,
    /// The client.
    pub title: &'static str,
    /// Where it goes.
    pub place: &'static str,
    /// The text.
    pub text: String,
}

/// The addresses and names that snippets hold.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The gateway's address, without `/v1`.
    pub base: &'a str,
    /// The key.
    pub key: &'a str,
    /// The model.
    pub model: &'a str,
}

const CURL: &str = "\
curl @base@/v1/chat/completions \\
  -H 'Authorization: Bearer @key@' -H 'Content-Type: application/json' \\
  -d '{\"model\": \"@model@\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'";

const OPENAI: &str = "\
from openai import OpenAI

// x
client = OpenAI(base_url=\"@base@/v1\", api_key=\"@key@\")
answer = client.responses.create(model=\"@model@\", input=\"Hello\")
print(answer.output_text)";

const ANTHROPIC: &str = "\
from anthropic import Anthropic

client = Anthropic(base_url=\"@base@\", api_key=\"@key@\")
answer = client.messages.create(
    model=\"@model@\", max_tokens=1000, messages=[{\"role\": \"user\", \"content\": \"Hello\"}]
)
print(answer.content[-1].text)";

const GOOGLE: &str = "\
from google import genai

client = genai.Client(api_key=\"@key@\", http_options={\"base_url\": \"@base@\"})
answer = client.models.generate_content(model=\"@model@\", contents=\"Hello\")
print(answer.text)";

const AI_SDK: &str = "\
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText } from 'ai'

const lockgate = createOpenAICompatible({ name: 'lockgate', baseURL: '@base@/v1', apiKey: '@key@' })
const { text } = await generateText({ model: lockgate('@model@'), prompt: 'Hello' })
console.log(text)";

const CLAUDE_CODE: &str =
    "ANTHROPIC_BASE_URL=@base@ ANTHROPIC_AUTH_TOKEN=@key@ claude --model @model@";

const CODEX: &str = "\
model = \"@model@\"
model_provider = \"lockgate\"

[model_providers.lockgate]
name = \"Lockgate\"
base_url = \"@base@/v1\"
env_key = \"LOCKGATE_KEY\"   # export LOCKGATE_KEY=@key@
wire_api = \"responses\"";

const OPENCODE: &str = "\
{
  \"provider\": {
    \"lockgate\": {
      \"npm\": \"@ai-sdk/openai-compatible\",
      \"options\": { \"baseURL\": \"@base@/v1\", \"apiKey\": \"@key@\" },
      \"models\": { \"@model@\": {} }
    }
  }
}";

const CURSOR: &str = "\
OpenAI API Key             @key@
Override OpenAI Base URL   @base@/v1
Add a model                @model@";

const N8N: &str = "\
Base URL   @base@/v1
API Key    @key@
Model      @model@";

const OPEN_WEBUI: &str = "\
URL   @base@/v1
Key   @key@";

/// Each snippet's id, client, place and text, in which `@base@`, `@key@` and `@model@` stand for values.
const TEMPLATES: [(&str, &str, &str, &str); 11] = [
    ("curl", "curl", "in a terminal", CURL),
    ("openai", "OpenAI SDK", "Python; chat completions and embeddings too", OPENAI),
    ("anthropic", "Anthropic SDK", "Python; the base URL has no /v1", ANTHROPIC),
    ("google", "Google SDK", "Python", GOOGLE),
    ("ai-sdk", "AI SDK", "TypeScript", AI_SDK),
    ("claude-code", "Claude Code", "in a terminal", CLAUDE_CODE),
    ("codex", "Codex", "~/.codex/config.toml", CODEX),
    ("opencode", "OpenCode", "opencode.json", OPENCODE),
    (
        "cursor",
        "Cursor",
        "Settings → Models → API Keys; Cursor calls from its own servers, so a public address",
        CURSOR,
    ),
    ("n8n", "n8n", "an OpenAI credential, used by the OpenAI Chat Model node", N8N),
    ("open-webui", "Open WebUI", "Admin Panel → Settings → Connections → OpenAI API", OPEN_WEBUI),
];

impl Snippet {
    /// The snippets of all clients.
    pub fn all(values: Values<'_>) -> Vec<Self> {
        let filled = |text: &str| {
            // The model last: its name is anybody's text.
            text.replace("@base@", values.base)
                .replace("@key@", values.key)
                .replace("@model@", values.model)
        };
        let snippet =
            |(id, title, place, text): (&'static str, &'static str, &'static str, &str)| Self {
                id,
                title,
                place,
                text: filled(text),
            };
        TEMPLATES.into_iter().map(snippet).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_snippet_holds_the_address_and_the_key() {
        let values = Values { base: "https://x.test", key: "lg-1", model: "fast" };
        let snippets = Snippet::all(values);
        assert_eq!(snippets.len(), 11);
        for snippet in snippets {
            assert!(snippet.text.contains("https://x.test"), "{}", snippet.text);
            assert!(snippet.text.contains("lg-1"), "{}", snippet.text);
            assert!(
                !snippet.text.contains('@') || snippet.text.contains("@ai-sdk"),
                "{}",
                snippet.text
            );
        }
    }
}

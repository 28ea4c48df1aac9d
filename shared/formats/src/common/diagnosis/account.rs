//! Refusals of the account, its key or its region, whatever the request is.

use canonical::ErrorKind;

use super::{ANY, REFUSED, Rule};

const ACCOUNT: Rule = Rule { statuses: REFUSED, kind: ErrorKind::ProviderAccess, ..ANY };

/// Billing, arrears, disabled organisations, keys and regions.
pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "invalid_api_key",
        source: "OpenAI: platform.openai.com/docs/guides/error-codes",
        example: "The key is not valid.",
        ..ACCOUNT
    },
    Rule {
        code: "arrearage",
        source: "DashScope: QuantumNous/new-api #1401, tencentmusic/supersonic #1572",
        example: "Access denied.",
        ..ACCOUNT
    },
    Rule {
        code: "billing_hard_limit_reached",
        source: "OpenAI: dfinke/PowerShellAI #127",
        example: "The hard limit has been reached.",
        ..ACCOUNT
    },
    Rule {
        code: "organization_restricted",
        source: "Groq: songquanpeng/one-api #1764, crewAIInc/crewAI #783",
        example: "Please reach out to support if you believe this was in error.",
        ..ACCOUNT
    },
    Rule {
        code: "blocked_api_access",
        source: "Groq: console.groq.com/docs/spend-limits",
        example: "API access is blocked.",
        ..ACCOUNT
    },
    Rule {
        code: "account_deactivated",
        source: "OpenAI: platform.openai.com/docs/guides/error-codes",
        example: "The account associated with this key has been deactivated.",
        ..ACCOUNT
    },
    Rule {
        code: "billing_error",
        source: "Anthropic: platform.claude.com/docs/en/api/errors",
        example: "There is an issue with your payment information.",
        ..ACCOUNT
    },
    Rule {
        code: "authentication_error",
        source: "Anthropic: platform.claude.com/docs/en/api/errors",
        example: "invalid x-api-key",
        ..ACCOUNT
    },
    Rule {
        code: "permission_error",
        source: "Anthropic: platform.claude.com/docs/en/api/errors",
        example: "Not allowed.",
        ..ACCOUNT
    },
    Rule {
        code: "expiredtokenexception",
        source: "AWS: docs.aws.amazon.com/IAM, common errors",
        example: "The provided token is no longer valid.",
        ..ACCOUNT
    },
    Rule {
        code: "unrecognizedclientexception",
        source: "AWS: docs.aws.amazon.com/bedrock, common errors",
        example: "The client is not known.",
        ..ACCOUNT
    },
    Rule {
        code: "invalidsignatureexception",
        source: "AWS: docs.aws.amazon.com/IAM, common errors",
        example: "Signature expired: 20261128T100000Z is now earlier than 20261128T101500Z.",
        ..ACCOUNT
    },
    Rule {
        code: "accessdeniedexception",
        source: "AWS: docs.aws.amazon.com/bedrock, common errors",
        example: "Denied.",
        ..ACCOUNT
    },
    Rule {
        text: &["api key"],
        source: "xAI: continuedev/continue #10778; Gemini: ai.google.dev/gemini-api/docs/troubleshooting",
        example: "Incorrect API key provided. You can obtain an API key from https://console.x.ai.",
        ..ACCOUNT
    },
    Rule {
        text: &["security token"],
        source: "AWS: ExpiredTokenException and UnrecognizedClientException without their codes",
        example: "The security token included in the request is expired",
        ..ACCOUNT
    },
    Rule {
        text: &["credit balance is too low"],
        source: "Anthropic: anthropics/claude-code",
        example: "Your credit balance is too low to access the Anthropic API.",
        ..ACCOUNT
    },
    Rule {
        text: &["insufficient credit"],
        source: "OpenRouter: openrouter.ai/docs/api-reference/errors",
        example: "Insufficient credits. Add more using https://openrouter.ai/credits",
        ..ACCOUNT
    },
    Rule {
        text: &["credit limit"],
        source: "Together: docs.together.ai/docs/error-codes",
        example: "Credit limit exceeded, please navigate to the billing page.",
        ..ACCOUNT
    },
    Rule {
        text: &["insufficient balance"],
        source: "DeepSeek: api-docs.deepseek.com/quick_start/error_codes; Moonshot: platform.moonshot.ai",
        example: "Insufficient Balance",
        ..ACCOUNT
    },
    Rule {
        text: &["overdue"],
        source: "Volcengine: volcengine.com/docs/82379/1299023",
        example: "The request failed because your account has an overdue balance.",
        ..ACCOUNT
    },
    Rule {
        text: &["good standing"],
        source: "DashScope: infiniflow/ragflow #1552",
        example: "Access denied, please make sure your account is in good standing.",
        ..ACCOUNT
    },
    Rule {
        text: &["billing"],
        source: "OpenAI: bajrangCoder/acode-plugin-chatgpt #19; Gemini: u14app/neo-chat #7",
        example: "Billing hard limit has been reached",
        ..ACCOUNT
    },
    Rule {
        text: &["organization has been disabled"],
        source: "Anthropic: anthropics/claude-code #19028",
        example: "This organization has been disabled.",
        ..ACCOUNT
    },
    Rule {
        text: &["organization has been restricted"],
        source: "Groq: NVIDIA-NeMo/Guardrails #563",
        example: "Organization has been restricted. Please reach out to support.",
        ..ACCOUNT
    },
    Rule {
        text: &["account", "disabled"],
        source: "Anthropic: router-for-me/CLIProxyAPI #3409",
        example: "Your account has been disabled after an automatic review.",
        ..ACCOUNT
    },
    Rule {
        text: &["account", "suspended"],
        source: "Fireworks: docs.fireworks.ai",
        example: "Account my-account is suspended.",
        ..ACCOUNT
    },
    Rule {
        text: &["account", "deactivated"],
        source: "OpenAI: platform.openai.com/docs/guides/error-codes",
        example: "Your OpenAI account has been deactivated.",
        ..ACCOUNT
    },
    Rule {
        text: &["key", "blocked"],
        source: "xAI: docs.x.ai/docs/key-information/debugging",
        example: "The key is currently blocked. Contact your team.",
        ..ACCOUNT
    },
    Rule {
        text: &["key", "disabled"],
        source: "OpenRouter: openrouter.ai/docs/api-reference/errors",
        example: "This key is disabled.",
        ..ACCOUNT
    },
    Rule {
        text: &["location is not supported"],
        source: "Gemini: google-gemini/gemini-cli #1614",
        example: "User location is not supported for the API use.",
        ..ACCOUNT
    },
    Rule {
        text: &["unsupported countries, regions"],
        source: "Claude on Bedrock: anthropic.com/supported-countries",
        example: "Access to Anthropic models is not allowed from unsupported countries, regions, or territories.",
        ..ACCOUNT
    },
    Rule {
        text: &["country, region, or territory"],
        source: "OpenAI: platform.openai.com/docs/supported-countries",
        example: "Country, region, or territory not supported",
        ..ACCOUNT
    },
    Rule {
        text: &["not available in your"],
        source: "Gemini: ai.google.dev/gemini-api/docs/troubleshooting",
        example: "Gemini API free tier is not available in your country.",
        ..ACCOUNT
    },
];

//! Azure OpenAI, with OpenAI chat under a deployment's path.
//!
//! Sources: learn.microsoft.com/azure/ai-foundry/openai, seen 2026-11, openai/openai-python issue
//! 937 and icereed/paperless-gpt issue 814. The model is the deployment's name; usage in streams
//! needs an API version of 2024-09 or later; `retry-after-ms` and *Please retry after 45 seconds*
//! say how long to wait. Its newer `/openai/v1` base needs no deployment path: that is the type
//! `openai`. Responses live there only.

use canonical::ModelApi;
use formats::{ChatCompatibility, MaxTokensName, StreamEnd};

use crate::{
    Auth, CHAT, COMPACTION, COMPLETIONS, EMBEDDINGS, IMAGE_EDITS, IMAGES, OPENAI_COMPATIBLE,
    OPENAI_ITSELF, Provider, ProviderApi, RESPONSES, SPEECH, TRANSCRIPTIONS, TRANSLATIONS,
};

pub(crate) const PROVIDER: Provider = Provider {
    name: "azure-openai",
    base_url: "",
    version: "",
    apis: &[
        ProviderApi {
            path: "/openai/deployments/{model}/chat/completions?api-version={api_version}",
            ..CHAT
        },
        ProviderApi {
            path: "/openai/v1/responses",
            only_with: Some(ModelApi::Responses),
            ..RESPONSES
        },
        ProviderApi { path: "/openai/v1/responses/compact", ..COMPACTION },
        ProviderApi {
            path: "/openai/deployments/{model}/embeddings?api-version={api_version}",
            ..EMBEDDINGS
        },
        ProviderApi {
            path: "/openai/deployments/{model}/completions?api-version={api_version}",
            only_with: Some(ModelApi::Completions),
            ..COMPLETIONS
        },
        ProviderApi {
            path: "/openai/deployments/{model}/audio/transcriptions?api-version={api_version}",
            ..TRANSCRIPTIONS
        },
        ProviderApi {
            path: "/openai/deployments/{model}/audio/translations?api-version={api_version}",
            ..TRANSLATIONS
        },
        ProviderApi {
            path: "/openai/deployments/{model}/audio/speech?api-version={api_version}",
            ..SPEECH
        },
        ProviderApi {
            path: "/openai/deployments/{model}/images/generations?api-version={api_version}",
            ..IMAGES
        },
        ProviderApi {
            path: "/openai/deployments/{model}/images/edits?api-version={api_version}",
            ..IMAGE_EDITS
        },
    ],
    api_version: "2024-10-21",
    auth: Auth::Header("api-key"),
    compatibility: ChatCompatibility {
        max_tokens_name: MaxTokensName::EitherNewer,
        reasoning_content: false,
        ..OPENAI_ITSELF
    },
    stream_end: StreamEnd::Terminator,
    collections: &[("files", "/openai/v1/files"), ("batches", "/openai/v1/batches")],
    ..OPENAI_COMPATIBLE
};

//! Amazon Bedrock, with Converse for every model that it has.
//!
//! Sources: the Bedrock User Guide, *Endpoints* and *API keys*, and the service model in botocore
//! 1.44.5, seen 2026-11. The model is part of the path, encoded once; a stream has a path of its
//! own. Without an `api_key`, which is Bedrock's own kind of bearer, the process's role signs.

use formats::{ProviderFormat, aws::converse::Bedrock, aws::embeddings::BedrockEmbeddings};

use crate::{Auth, CHAT, Key, OPENAI_COMPATIBLE, Provider, ProviderApi, StreamUsage};

pub(crate) const PROVIDER: Provider = Provider {
    name: "bedrock",
    key_variables: &["AWS_BEARER_TOKEN_BEDROCK"],
    base_url: "https://bedrock-runtime.{region}.amazonaws.com",
    version: "",
    apis: &[
        ProviderApi {
            format: ProviderFormat::Chat(&Bedrock),
            path: "/model/{model}/converse",
            stream_path: Some("/model/{model}/converse-stream"),
            ..CHAT
        },
        ProviderApi {
            format: ProviderFormat::Embeddings(&BedrockEmbeddings),
            path: "/model/{model}/invoke",
            ..CHAT
        },
    ],
    auth: Auth::SigV4("bedrock"),
    key: Key::Optional,
    stream_usage: StreamUsage::Always,
    ..OPENAI_COMPATIBLE
};

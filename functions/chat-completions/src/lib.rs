//! `POST /v1/chat/completions`, in OpenAI's chat format.

use edge::Routes;
use formats::openai::chat::OpenAiChat;

/// The endpoint, under its three paths.
pub fn routes() -> Routes {
    let paths = ["/v1/chat/completions", "/chat/completions", "/openai/v1/chat/completions"];
    edge::conversation(&paths, &OpenAiChat)
}

//! What one provider or family of models wants beside the rules of OpenAI chat.

pub(super) mod mistral;

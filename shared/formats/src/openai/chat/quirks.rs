//! Rules of one provider or family of models beside those of OpenAI chat.

pub(super) mod mistral;

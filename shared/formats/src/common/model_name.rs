//! The model's name in the streams of providers that name none: the target's own.

use bytes::Bytes;
use canonical::{Delta, EventBody, Result, StreamEvent};

use crate::StreamDecoder;

/// A decoder whose responses name this model where the provider names none.
pub fn with_model_name(decoder: Box<dyn StreamDecoder>, model: &str) -> Box<dyn StreamDecoder> {
    Box::new(Named { decoder, model: model.to_owned() })
}

#[derive(Debug)]
struct Named {
    decoder: Box<dyn StreamDecoder>,
    model: String,
}

impl Named {
    fn name(&self, events: &mut [StreamEvent]) {
        for event in events {
            if let EventBody::Delta(_, delta) = &mut event.body
                && let Delta::Start { model: model @ None, .. } = &mut **delta
            {
                *model = Some(self.model.clone());
            }
        }
    }
}

impl StreamDecoder for Named {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        let before = events.len();
        // Events before an error reach the client too, so they are named before the error is
        // returned.
        let outcome = self.decoder.read(bytes, events);
        self.name(events.get_mut(before..).unwrap_or_default());
        outcome
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        let before = events.len();
        let outcome = self.decoder.close(events);
        self.name(events.get_mut(before..).unwrap_or_default());
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DecodeMode, DecodeOptions, OutboundText, openai::chat::OpenAiChat};

    fn model_of(chunk: &'static str) -> Option<String> {
        let options = DecodeOptions { mode: DecodeMode::Translate, ..DecodeOptions::default() };
        let mut decoder = with_model_name(OpenAiChat.stream_decoder(options), "target");
        let mut events = vec![];
        decoder.read(Bytes::from_static(chunk.as_bytes()), &mut events).unwrap();
        events.into_iter().find_map(|it| match it.body {
            EventBody::Delta(_, delta) => match *delta {
                Delta::Start { model, .. } => model,
                _ => None,
            },
            EventBody::Frame(_) => None,
        })
    }

    #[test]
    fn a_provider_that_names_no_model_gets_the_targets_name() {
        let unnamed = "data: {\"choices\":[{\"delta\":{}}]}\n\n";
        assert_eq!(model_of(unnamed).as_deref(), Some("target"));
        let named = "data: {\"model\":\"m-2026\",\"choices\":[{\"delta\":{}}]}\n\n";
        assert_eq!(model_of(named).as_deref(), Some("m-2026"));
    }
}

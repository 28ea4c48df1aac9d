//! The request that another target gets to go on with a response.

use canonical::{CanonicalRequest, Content, Message, Part, Role};

use super::seam::Form;

/// What a model is told that cannot be given the beginning of its own message.
const INSTRUCTION: &str = "Your message above was cut off by a technical fault. Go on from exactly \
    where it stopped, in the same language, style and format: write only what follows its last \
    character, which may be in the middle of a word. Do not repeat any of it, do not begin anew, and \
    do not mention the interruption.";

/// The same request, to be continued behind `said`. `written` tokens of its limit are used up.
pub(crate) fn continued(
    request: &CanonicalRequest,
    before: &str,
    written: u64,
    form: Form,
) -> CanonicalRequest {
    let mut request = request.clone();
    if before.is_empty() {
        return request;
    }
    if let CanonicalRequest::Conversation(conversation) = &mut request {
        let messages = &mut conversation.messages;
        // Anthropic refuses a message of the model that ends in white space.
        let before = if form == Form::Prefill { before.trim_end() } else { before };
        match messages.last_mut().filter(|it| it.role == Role::Assistant) {
            // The client has begun the message itself.
            Some(begun) => begun.parts.push(text(before)),
            None => messages.push(message(Role::Assistant, before)),
        }
        if form == Form::Instruction {
            messages.push(message(Role::User, INSTRUCTION));
        }
        // What was written counts against the client's limit, which no provider sees as a whole.
        let limit = conversation.max_tokens.map(|limit| limit.saturating_sub(written).max(1));
        conversation.max_tokens = limit;
    }
    request
}

fn message(role: Role, content: &str) -> Message {
    Message { role, name: None, parts: vec![text(content)] }
}

fn text(content: &str) -> Part {
    Part { content: Content::Text(content.to_owned(), vec![]), cache: None, signature: None }
}

#[cfg(test)]
mod tests {
    use canonical::Conversation;

    use super::*;

    fn request(messages: Vec<Message>) -> CanonicalRequest {
        let conversation =
            Conversation { messages, max_tokens: Some(100), ..Conversation::default() };
        CanonicalRequest::Conversation(Box::new(conversation))
    }

    fn roles(request: &CanonicalRequest) -> Vec<Role> {
        request.conversation().unwrap().messages.iter().map(|it| it.role).collect()
    }

    #[test]
    fn a_prefill_ends_the_conversation_and_an_instruction_follows_it_otherwise() {
        let original = request(vec![message(Role::User, "Hi")]);
        let prefilled = continued(&original, "Hel ", 30, Form::Prefill);
        assert_eq!(roles(&prefilled), [Role::User, Role::Assistant]);
        let conversation = prefilled.conversation().unwrap();
        assert_eq!(conversation.messages[1].parts[0].content, Content::Text("Hel".into(), vec![]));
        assert_eq!(conversation.max_tokens, Some(70));

        let instructed = continued(&original, "Hel", 300, Form::Instruction);
        assert_eq!(roles(&instructed), [Role::User, Role::Assistant, Role::User]);
        assert_eq!(instructed.conversation().unwrap().max_tokens, Some(1));
    }

    #[test]
    fn a_message_that_the_client_began_goes_on() {
        let original = request(vec![message(Role::User, "Hi"), message(Role::Assistant, "He")]);
        let prefilled = continued(&original, "llo", 0, Form::Prefill);
        assert_eq!(roles(&prefilled), [Role::User, Role::Assistant]);
        assert_eq!(prefilled.conversation().unwrap().messages[1].parts.len(), 2);
    }

    #[test]
    fn where_nothing_was_written_the_request_is_the_clients_own() {
        let original = request(vec![message(Role::User, "Hi")]);
        assert_eq!(continued(&original, "", 10, Form::Instruction), original);
    }
}

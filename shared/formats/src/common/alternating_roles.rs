//! Messages as some formats demand them: the system prompt apart, user and assistant in alternation.

use std::sync::LazyLock;

use canonical::{Content, Conversation, Error, ErrorKind, Part, Role};

/// The author of a message, where there are only two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The user, and the results of tools.
    User,
    /// The model.
    Assistant,
}

/// The failure of a conversation without messages that have any content.
pub(crate) fn no_message() -> Error {
    let message = "needs at least one message with content besides the system prompt";
    Error::new(ErrorKind::Unsupported, message)
}

/// A conversation whose sides alternate.
#[derive(Debug, Default)]
pub(crate) struct Alternating<'a> {
    /// Every part of system and developer messages, in order.
    pub(crate) system: Vec<&'a Part>,
    /// The parts of each side. Results of tools stand before what else the user says, because
    /// every target wants them right behind the calls.
    pub(crate) messages: Vec<(Side, Vec<&'a Part>)>,
}

/// The user's text where a conversation begins with the assistant, which no provider accepts.
static OPENING: LazyLock<Part> = LazyLock::new(|| Part::text("Begin."));

/// Separates the system prompt, and joins neighbouring messages of one side.
///
/// A system prompt alone is taken for what the user says.
pub(crate) fn alternating(conversation: &Conversation) -> Alternating<'_> {
    let mut whole = Alternating::default();
    for message in &conversation.messages {
        let side = match message.role {
            Role::System | Role::Developer => {
                whole.system.extend(&message.parts);
                continue;
            }
            Role::User => Side::User,
            Role::Assistant => Side::Assistant,
        };
        match whole.messages.last_mut() {
            Some((last, parts)) if *last == side => parts.extend(&message.parts),
            _ => whole.messages.push((side, message.parts.iter().collect())),
        }
    }

    // Anthropic, Gemini and Bedrock refuse a request of a system prompt alone, which OpenAI
    // accepts. A blank message of the user counts as none, because its text is dropped as empty
    // later.
    if !whole.system.is_empty()
        && whole.messages.iter().all(|it| it.1.iter().all(|it| is_blank(it)))
    {
        whole.messages = vec![(Side::User, std::mem::take(&mut whole.system))];
    }

    match whole.messages.first() {
        Some((Side::Assistant, _)) => whole.messages.insert(0, (Side::User, vec![&OPENING])),
        None | Some((Side::User, _)) => {}
    }

    for (side, parts) in &mut whole.messages {
        if *side == Side::User {
            // Stable: results stay in their order, and so does the rest.
            parts.sort_by_key(|it| !matches!(it.content, Content::ToolResult(_)));
        }
    }
    whole
}

fn is_blank(part: &Part) -> bool {
    matches!(&part.content, Content::Text(text, _) if text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use canonical::{Message, ToolResult};

    use super::*;

    fn texts(parts: &[&Part]) -> Vec<String> {
        let texts = parts.iter().map(|it| match &it.content {
            Content::Text(text, _) => text.clone(),
            Content::ToolResult(result) => format!("result {}", result.id),
            other => format!("{other:?}"),
        });
        texts.collect()
    }

    fn result(id: &str) -> Part {
        let result = ToolResult { id: id.to_owned(), ..ToolResult::default() };
        Part::new(Content::ToolResult(result))
    }

    #[test]
    fn the_system_prompt_is_gathered_and_sides_alternate() {
        let messages = vec![
            Message::new(Role::System, vec![Part::text("a")]),
            Message::new(Role::User, vec![Part::text("b")]),
            Message::new(Role::Developer, vec![Part::text("c")]),
            Message::new(Role::User, vec![Part::text("d")]),
            Message::new(Role::Assistant, vec![Part::text("e")]),
        ];
        let conversation = Conversation { messages, ..Conversation::default() };
        let whole = alternating(&conversation);
        assert_eq!(texts(&whole.system), ["a", "c"]);
        assert_eq!(whole.messages.len(), 2);
        assert_eq!(texts(&whole.messages[0].1), ["b", "d"]);
    }

    #[test]
    fn a_system_prompt_alone_is_a_message_of_the_user() {
        let messages = vec![Message::new(Role::System, vec![Part::text("a")])];
        let conversation = Conversation { messages, ..Conversation::default() };
        let whole = alternating(&conversation);
        assert!(whole.system.is_empty());
        assert_eq!(
            (whole.messages[0].0, texts(&whole.messages[0].1)),
            (Side::User, vec!["a".to_owned()])
        );
    }

    #[test]
    fn a_conversation_begins_with_the_user() {
        let messages = vec![Message::new(Role::Assistant, vec![Part::text("a")])];
        let conversation = Conversation { messages, ..Conversation::default() };
        let sides: Vec<Side> = alternating(&conversation).messages.iter().map(|it| it.0).collect();
        assert_eq!(sides, [Side::User, Side::Assistant]);
    }

    #[test]
    fn results_stand_right_behind_their_calls() {
        let messages = vec![
            Message::new(Role::User, vec![result("1")]),
            Message::new(Role::User, vec![Part::text("also"), result("2")]),
        ];
        let conversation = Conversation { messages, ..Conversation::default() };
        assert_eq!(
            texts(&alternating(&conversation).messages[0].1),
            ["result 1", "result 2", "also"]
        );
    }
}

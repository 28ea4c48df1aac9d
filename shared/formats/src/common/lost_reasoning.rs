//! Whether a tool loop lost the reasoning with which it must begin.
//!
//! Anthropic refuses a thinking budget where the assistant's messages since the user's last question
//! call tools without reasoning (platform.claude.com, *Extended thinking with tool use*, seen 2026-11).

/// One message, as far as the rule depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageShape {
    pub(crate) is_assistant: bool,
    pub(crate) begins_with_reasoning: bool,
    pub(crate) has_tool_result: bool,
}

/// Whether the assistant's latest messages, back to the user's last question, begin without reasoning.
pub(crate) fn lost_reasoning(messages: impl DoubleEndedIterator<Item = MessageShape>) -> bool {
    let mut is_lost = false;
    for message in messages.rev() {
        if message.is_assistant {
            if message.begins_with_reasoning {
                return false;
            }
            is_lost = true;
        } else if !message.has_tool_result {
            // The user's last question: Anthropic does not check what stands before it.
            return is_lost;
        }
    }
    is_lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_since_the_users_last_message_decides() {
        let shape = |is_assistant, begins_with_reasoning, has_tool_result| MessageShape {
            is_assistant,
            begins_with_reasoning,
            has_tool_result,
        };
        let plain = shape(false, false, false);
        let call = shape(true, false, false);
        let reasoned_call = shape(true, true, false);
        let result = shape(false, false, true);
        let is_lost = |messages: &[MessageShape]| lost_reasoning(messages.iter().copied());
        assert!(is_lost(&[plain, call, result]));
        assert!(!is_lost(&[plain, reasoned_call, result, call, result]));
        assert!(!is_lost(&[plain, call, result, plain]));
    }
}

//! `${VAR}` in a text.
//!
//! What a variable holds is put in as it is and not looked at again. `$${` stands for the two
//! characters `${`, as in Terraform; any other `$` is a `$`.

/// A text whose variables are known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expanded {
    /// What it says.
    pub(super) text: String,
    /// The variable, when the whole text was one.
    pub(super) variable: Option<String>,
}

/// Replaces each variable by what `lookup` knows, or says what is wrong with each that it cannot.
pub(super) fn expand(
    raw: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Expanded, Vec<String>> {
    let mut text = String::with_capacity(raw.len());
    let mut wrong = vec![];
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            text.push_str(before);
            text.push_str("${");
            rest = after;
            continue;
        }
        text.push_str(before);
        let Some((name, after)) = after.split_once('}').filter(|(name, _)| is_name(name)) else {
            wrong.push(
                "`${` is not followed by a variable's name and `}`: write ${NAME}, \
                 or $${ for these two characters themselves"
                    .to_owned(),
            );
            // Reading goes on behind the mark, so that every bad variable is listed at once.
            rest = after;
            continue;
        };
        match lookup(name) {
            // An empty variable is most often an unset one in a shell's `export`, and an empty key
            // would be sent.
            Some(value) if !value.is_empty() => text.push_str(&value),
            Some(_) => wrong.push(format!("the variable {name} is empty")),
            None => wrong.push(format!("the variable {name} is not set")),
        }
        rest = after;
    }
    text.push_str(rest);
    if wrong.is_empty() { Ok(Expanded { text, variable: sole_variable(raw) }) } else { Err(wrong) }
}

/// Writes a text so that reading it gives it back: `${` in it is no variable.
pub fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

/// Whether [`expand`] would replace something in a text.
pub(super) fn has_variable(raw: &str) -> bool {
    raw.replace("$${", "").contains("${")
}

/// Whether a shell could have a variable of this name.
pub(super) fn is_name(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    starts_well && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
}

fn sole_variable(raw: &str) -> Option<String> {
    let name = raw.strip_prefix("${")?.strip_suffix('}')?;
    is_name(name).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".to_owned()),
            "DOLLARS" => Some("${A}: [x]".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn text(raw: &str) -> String {
        expand(raw, &known).unwrap().text
    }

    #[test]
    fn several_variables_in_one_text_are_replaced() {
        assert_eq!(text("a ${A}, ${A}."), "a one, one.");
    }

    #[test]
    fn what_a_variable_holds_is_not_expanded_again() {
        assert_eq!(text("${DOLLARS}"), "${A}: [x]");
    }

    #[test]
    fn a_bare_dollar_stays() {
        assert_eq!(text("$A costs 5$, $$ and $(A)$"), "$A costs 5$, $$ and $(A)$");
    }

    #[test]
    fn a_doubled_dollar_keeps_the_brace_as_it_is() {
        assert_eq!(text("$${A} and ${A}"), "${A} and one");
        assert_eq!(text(&escape("${A} $$ ${")), "${A} $$ ${");
    }

    #[test]
    fn a_doubled_dollar_is_no_variable() {
        assert!(has_variable("Bearer ${A}") && !has_variable("$${A} and $A"));
    }

    #[test]
    fn every_missing_or_empty_variable_is_named() {
        let wrong = expand("${B}${A}${EMPTY}", &known).unwrap_err();
        assert_eq!(wrong, ["the variable B is not set", "the variable EMPTY is empty"]);
    }

    #[test]
    fn an_unfinished_variable_is_refused() {
        for raw in ["${A", "${}", "${1}", "${A:-x}", "${ A }"] {
            assert_eq!(expand(raw, &known).unwrap_err().len(), 1, "{raw}");
        }
    }

    #[test]
    fn only_a_text_that_is_one_variable_remembers_it() {
        assert_eq!(expand("${A}", &known).unwrap().variable.as_deref(), Some("A"));
        assert_eq!(expand("Bearer ${A}", &known).unwrap().variable, None);
        assert_eq!(expand("${A}${A}", &known).unwrap().variable, None);
    }
}

//! Options with one dash, as those who come from a program in Go type them.

use std::ffi::OsString;

/// The options that earlier gateways had, and those of ours beside them.
const NAMES: [&str; 6] = ["config", "data", "env-file", "listen", "port", "verbose"];

/// The arguments, with two dashes where an option of more than a letter has one.
pub(crate) fn with_two_dashes(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    arguments.filter(|argument| !is_off(argument)).map(rewritten).collect()
}

/// Whether an argument is a flag that is switched off, which has no counterpart.
fn is_off(argument: &OsString) -> bool {
    ["-verbose=false", "-verbose=f", "-verbose=0"].iter().any(|off| argument == *off)
}

fn rewritten(argument: OsString) -> OsString {
    let option = argument.to_str().and_then(|it| it.strip_prefix('-')).unwrap_or_default();
    let name = option.split('=').next().unwrap_or_default();
    match name {
        "verbose" => "--verbose".into(),
        // Only known names: anything else with one dash is a row of short options.
        _ if NAMES.contains(&name) => format!("--{option}").into(),
        _ => argument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(arguments: &[&str]) -> Vec<OsString> {
        with_two_dashes(arguments.iter().map(OsString::from))
    }

    #[test]
    fn an_option_with_one_dash_gets_two() {
        assert_eq!(typed(&["-config", "a", "-listen=:1"]), ["--config", "a", "--listen=:1"]);
        assert_eq!(typed(&["-verbose", "-verbose=true", "-verbose=false"]), ["--verbose"; 2]);
    }

    #[test]
    fn anything_else_stays_as_it_is() {
        for argument in ["-v", "-f", "--config", "-", "-configs", "config", "-12"] {
            assert_eq!(typed(&[argument]), [argument]);
        }
    }
}

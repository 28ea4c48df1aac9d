//! Pages outside the frame: the gateway's front page, sign-in, and errors.

use askama::Template;

use crate::{
    assets::{self, Paths},
    shell::{Pill, Theme},
};

/// The gateway's front page, which everybody may see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "home.html")]
pub struct Home {
    /// The colours.
    pub theme: Theme,
    /// Whether the gateway is healthy.
    pub state: Pill,
    /// What clients use as base URL, without `/v1`.
    pub base_url: String,
    /// The version of the program.
    pub version: String,
}

/// The sign-in page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "sign_in.html")]
pub struct SignIn {
    /// The colours.
    pub theme: Theme,
    /// The name that was typed.
    pub name: String,
    /// Why the sign-in did not work.
    pub error: Option<String>,
    /// The path that is wanted after sign-in.
    pub next: String,
    /// Where the first password is, in a sentence.
    pub hint: String,
}

/// An error in place of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// The colours.
    pub theme: Theme,
    /// The HTTP status.
    pub status: u16,
    /// What is the case.
    pub title: String,
    /// What still works, and what to do.
    pub text: String,
    /// The request's id.
    pub request_id: String,
}

impl Home {
    fn assets(&self) -> &'static Paths {
        assets::paths()
    }
}

impl SignIn {
    fn assets(&self) -> &'static Paths {
        assets::paths()
    }
}

impl ErrorPage {
    fn assets(&self) -> &'static Paths {
        assets::paths()
    }
}

//! What surrounds the content of every page: navigation, notices, who is signed in.

use crate::assets::{self, Paths};

/// A page in the navigation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Section {
    /// What happened lately, and what needs attention.
    #[default]
    Overview,
    /// Every call.
    Requests,
    /// A call made by hand.
    Playground,
    /// Who calls.
    Tenants,
    /// What the operator decides.
    Routes,
    /// Sums of calls.
    Usage,
    /// What tokens cost.
    Prices,
    /// Targets and cooldowns.
    Health,
    /// Who changed what.
    Audit,
    /// Snippets for clients.
    Setup,
}

impl Section {
    /// Every section, in the navigation's order.
    pub const ALL: [Self; 10] = [
        Self::Overview,
        Self::Requests,
        Self::Playground,
        Self::Tenants,
        Self::Routes,
        Self::Usage,
        Self::Prices,
        Self::Health,
        Self::Audit,
        Self::Setup,
    ];

    /// The name in the navigation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Requests => "Requests",
            Self::Playground => "Playground",
            Self::Tenants => "Tenants",
            Self::Routes => "Routes and providers",
            Self::Usage => "Usage and cost",
            Self::Prices => "Prices",
            Self::Health => "Health",
            Self::Audit => "Audit",
            Self::Setup => "Client setup",
        }
    }

    /// The path.
    pub fn path(self) -> &'static str {
        match self {
            Self::Overview => "/admin",
            Self::Requests => "/admin/requests",
            Self::Playground => "/admin/playground",
            Self::Tenants => "/admin/tenants",
            Self::Routes => "/admin/routes",
            Self::Usage => "/admin/usage",
            Self::Prices => "/admin/prices",
            Self::Health => "/admin/health",
            Self::Audit => "/admin/audit",
            Self::Setup => "/admin/setup",
        }
    }

    /// The letter that leads here after `g`.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Overview => "o",
            Self::Requests => "r",
            Self::Playground => "p",
            Self::Tenants => "t",
            Self::Routes => "c",
            Self::Usage => "u",
            Self::Prices => "m",
            Self::Health => "h",
            Self::Audit => "a",
            Self::Setup => "s",
        }
    }
}

/// Which colours an operator prefers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// The system's.
    #[default]
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// The theme of this name; the system's for any other.
    pub fn named(name: &str) -> Self {
        match name {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme that a press of the button leads to.
    pub fn next(self) -> Self {
        match self {
            Self::System => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::System,
        }
    }
}

/// What a state means for its reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Ok,
    /// Somebody should look.
    Warn,
    /// Something is wrong.
    Err,
    /// Worth knowing.
    #[default]
    Info,
    /// Switched off.
    Off,
}

impl Tone {
    /// The class in the stylesheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Ok => "is-ok",
            Self::Warn => "is-warn",
            Self::Err => "is-err",
            Self::Info => "is-info",
            Self::Off => "is-off",
        }
    }
}

/// A state as a word with a colour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pill {
    /// What the state means.
    pub tone: Tone,
    /// The word.
    pub text: String,
}

impl Pill {
    /// A state of this tone and name.
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }
}

/// A link within the pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// What the link says.
    pub text: String,
    /// Where it leads.
    pub href: String,
}

impl Link {
    /// A link that says `text` and leads to `href`.
    pub fn new(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self { text: text.into(), href: href.into() }
    }
}

/// A sentence above the content: what is the case, since when, and what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// What the notice means.
    pub tone: Tone,
    /// The words that matter most.
    pub strong: String,
    /// The rest.
    pub text: String,
    /// What to do about it.
    pub link: Option<Link>,
}

impl Notice {
    /// A notice without a link.
    pub fn new(tone: Tone, strong: impl Into<String>, text: impl Into<String>) -> Self {
        Self { tone, strong: strong.into(), text: text.into(), link: None }
    }

    /// The same notice with a link to what can be done.
    #[must_use]
    pub fn with_link(mut self, link: Link) -> Self {
        self.link = Some(link);
        self
    }
}

/// What surrounds the content of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shell {
    /// The section that the page belongs to.
    pub section: Section,
    /// The title of the page.
    pub title: String,
    /// The path of the page, with its query, which a change of theme returns to.
    pub path: String,
    /// What clients use as base URL.
    pub base_url: String,
    /// The operator's name.
    pub operator: String,
    /// The operator's role: `admin`, `editor` or `viewer`.
    pub role: String,
    /// The operator's colours.
    pub theme: Theme,
    /// Models in use that have no price.
    pub unpriced: u64,
    /// Targets that cool down or fail.
    pub unhealthy: u64,
    /// Sentences above the content.
    pub notices: Vec<Notice>,
}

impl Shell {
    /// The paths of the assets.
    pub fn assets(&self) -> &'static Paths {
        assets::paths()
    }

    /// What stands beside a section in the navigation, where somebody has to act.
    pub fn count(&self, section: &Section) -> String {
        match section {
            Section::Prices if 0 < self.unpriced => format!("{} unknown", self.unpriced),
            Section::Health if 0 < self.unhealthy => self.unhealthy.to_string(),
            _ => String::new(),
        }
    }

    /// Whether the operator may change tenants and prices.
    pub fn may_edit(&self) -> bool {
        self.role == "admin" || self.role == "editor"
    }

    /// Whether the operator may change everything.
    pub fn may_administer(&self) -> bool {
        self.role == "admin"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_stands_where_somebody_has_to_act() {
        let shell = Shell { unpriced: 2, ..Shell::default() };
        assert_eq!(shell.count(&Section::Prices), "2 unknown");
        assert_eq!(shell.count(&Section::Health), "");
    }

    #[test]
    fn no_two_sections_share_a_letter() {
        let mut letters = Section::ALL.map(Section::letter).to_vec();
        letters.sort_unstable();
        letters.dedup();
        assert_eq!(letters.len(), Section::ALL.len());
    }

    #[test]
    fn the_theme_button_goes_round() {
        let theme = Theme::named("dark");
        assert_eq!(theme.next(), Theme::System);
        assert_eq!(Theme::named(theme.next().next().name()), Theme::Light);
    }
}

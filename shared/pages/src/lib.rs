//! Web pages for operators: HTML from view structs, the assets that the pages use, and the headers they need.
//!
//! This crate decides on looks and words only. Handlers fill the views and serve what is rendered; no
//! view reads a store, a clock or a request.

pub mod assets;
pub mod audit;
pub mod call;
mod call_outcome;
pub mod chart;
pub mod form;
pub mod health;
pub mod moment;
pub mod number;
pub mod overview;
pub mod playground;
pub mod prices;
pub mod public_pages;
pub mod requests;
pub mod routes;
pub mod setup;
pub mod shell;
pub mod tenants;
pub mod time_bar;
pub mod usage;
pub mod welcome;

pub use self::{
    moment::Moment,
    number::{Count, Money, Share, Took},
};

/// A page, or a part of one.
pub trait View {
    /// The HTML.
    ///
    /// # Errors
    ///
    /// Fails where a value in the page refuses to be formatted, which none of this crate does.
    fn html(&self) -> Result<String, std::fmt::Error>;
}

impl<T: askama::Template> View for T {
    fn html(&self) -> Result<String, std::fmt::Error> {
        self.render().map_err(|_cause| std::fmt::Error)
    }
}

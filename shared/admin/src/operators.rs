//! Operators and their tokens, as they are listed, made, changed and removed.

use std::sync::Arc;

use gateway::Clock;
use serde_json::{Map, Value, json};
use storage::{Secret, Table};
use tenants::{Action, Author, KeyHash, SEALING_KEY_BYTES, SealingKey, rfc3339};

use crate::{
    admin::Admin,
    authentication::configured_names,
    operator::Role,
    password,
    problem::{AdminResult, Problem, ProblemKind},
    stored_operators::{OperatorTable, StoredOperator, StoredOperators, StoredToken},
};

/// What a token begins with.
const TOKEN_PREFIX: &str = "lga-";
/// The name of the operator that the first start makes.
pub const FIRST_OPERATOR: &str = "admin";
/// How many operators, and how many tokens, there may be.
const MAX_ENTRIES: usize = 500;
/// How long a name may be, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// An operator as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorView {
    /// The name.
    pub name: String,
    /// What the operator may do.
    pub role: Role,
    /// When the operator was made, in seconds since 1970; absent for one of the configuration.
    pub created: Option<u64>,
}

impl OperatorView {
    /// The operator as JSON.
    pub fn to_json(&self) -> Value {
        let source = if self.created.is_some() { "store" } else { "configuration" };
        json!({
            "name": self.name,
            "role": self.role,
            "source": source,
            "created_at": self.created.map(rfc3339),
        })
    }
}

/// A token without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenView {
    /// The id.
    pub id: String,
    /// A name for the operator.
    pub name: String,
    /// What the token may do.
    pub role: Role,
    /// The last characters of the token.
    pub last_four: String,
    /// Who made the token.
    pub created_by: String,
    /// When the token was made, in seconds since 1970.
    pub created: u64,
    /// From when on the token does not work any more, in seconds since 1970. Absent: never.
    pub expires: Option<u64>,
}

impl TokenView {
    fn new(id: &str, token: &StoredToken) -> Self {
        Self {
            id: id.to_owned(),
            name: token.name.clone(),
            role: token.role,
            last_four: token.last_four.clone(),
            created_by: token.created_by.clone(),
            created: token.created,
            expires: token.expires,
        }
    }

    /// The token as JSON, without its text.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "role": self.role,
            "last_four": self.last_four,
            "created_by": self.created_by,
            "created_at": rfc3339(self.created),
            "expires_at": self.expires.map(rfc3339),
        })
    }
}

/// What a new token is to be.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// A name for the operator.
    pub name: String,
    /// What the token may do.
    pub role: Role,
    /// From when on the token does not work any more, in seconds since 1970. Absent: never.
    pub expires: Option<u64>,
}

/// A change of an operator; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct OperatorChange {
    /// What the operator may do.
    pub role: Option<Role>,
    /// A new password, which ends every session.
    pub password: Option<Secret>,
}

impl Admin {
    /// Every operator, those of the configuration first.
    pub async fn operators(&self, clock: Clock) -> AdminResult<Vec<OperatorView>> {
        let stored = self.stored_operators(clock.now() / 1000).await?;
        let configured = self.configured_operators(clock).await;
        // Shown once, as the one that authentication uses.
        let is_shadowed = |name: &String| configured.iter().any(|(known, _)| known == name);
        let stored = stored.operators.iter().filter(|(name, _)| !is_shadowed(name));
        let stored = stored.map(|(name, it)| OperatorView {
            name: name.clone(),
            role: it.role,
            created: Some(it.created),
        });
        let stored: Vec<OperatorView> = stored.collect();
        let configured =
            configured.into_iter().map(|(name, role)| OperatorView { name, role, created: None });
        Ok(configured.chain(stored).collect())
    }

    /// The names and roles of the operators that the configuration declares.
    async fn configured_operators(&self, clock: Clock) -> Vec<(String, Role)> {
        let snapshot = self.gateway.snapshot(clock).await.ok();
        snapshot.as_deref().map(configured_names).unwrap_or_default()
    }

    /// Makes an operator.
    #[expect(clippy::too_many_arguments, reason = "who makes whom, with what, and when")]
    pub async fn create_operator(
        &self,
        name: &str,
        role: Role,
        password: &Secret,
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<OperatorView> {
        check_name(name)?;
        password::check(password)?;
        // Authentication would look at the configured password alone.
        let taken = || Problem::new(ProblemKind::Conflict, "Another operator has this name.");
        if self.configured_operators(clock).await.iter().any(|(known, _)| known == name) {
            return Err(taken());
        }
        // Hashed before the row is changed: the change may be repeated, and must not take long.
        let hash = password::hash(password).await?;
        let now = author.at;
        let made = StoredOperator { role, password: hash, created: now, updated: now };
        self.change_operators(author, (Action::CreateOperator, name), |stored| {
            if stored.operators.contains_key(name) {
                return Err(taken());
            }
            if MAX_ENTRIES <= stored.operators.len() {
                return Err(Problem::new(ProblemKind::Conflict, "There are too many operators."));
            }
            stored.operators.insert(name.to_owned(), made.clone());
            Ok(((), changes([("role", Value::Null, json!(role))])))
        })
        .await?;
        Ok(OperatorView { name: name.to_owned(), role, created: Some(now) })
    }

    /// Changes an operator's role or password.
    pub async fn update_operator(
        &self,
        name: &str,
        change: &OperatorChange,
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<OperatorView> {
        let configured = self.configured_operators(clock).await;
        let hash = match &change.password {
            Some(password) => {
                password::check(password)?;
                Some(password::hash(password).await?)
            }
            None => None,
        };
        // The audit says that a password was changed, never to what.
        let password = if hash.is_some() { json!("[secret]") } else { Value::Null };
        let after = self
            .change_operators(author, (Action::UpdateOperator, name), |stored| {
                let operator = stored.operators.get_mut(name);
                let operator = operator.ok_or_else(|| Problem::not_found("operator"))?;
                let before = operator.role;
                operator.role = change.role.unwrap_or(operator.role);
                operator.updated = author.at;
                if let Some(hash) = &hash {
                    operator.password.clone_from(hash);
                }
                let after = operator.clone();
                if hash.is_some() {
                    *stored.epochs.entry(name.to_owned()).or_default() += 1;
                }

                keep_an_admin(stored, &configured)?;
                let changed = changes([
                    ("role", json!(before), json!(after.role)),
                    ("password", Value::Null, password.clone()),
                ]);
                Ok((after, changed))
            })
            .await?;
        let created = Some(after.created);
        Ok(OperatorView { name: name.to_owned(), role: after.role, created })
    }

    /// Removes an operator, whose sessions end.
    pub async fn delete_operator(
        &self,
        name: &str,
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<()> {
        let configured = self.configured_operators(clock).await;
        self.change_operators(author, (Action::DeleteOperator, name), |stored| {
            let gone = stored.operators.remove(name);
            let gone = gone.ok_or_else(|| Problem::not_found("operator"))?;
            // Kept after the operator is gone: one that is made anew under the name must not revive
            // old cookies.
            *stored.epochs.entry(name.to_owned()).or_default() += 1;
            keep_an_admin(stored, &configured)?;
            Ok(((), changes([("role", json!(gone.role), Value::Null)])))
        })
        .await
    }

    /// Ends every session of an operator, wherever it is.
    pub async fn log_out_everywhere(&self, name: &str, author: Author<'_>) -> AdminResult<()> {
        self.change_operators(author, (Action::LogOutEverywhere, name), |stored| {
            *stored.epochs.entry(name.to_owned()).or_default() += 1;
            Ok(((), Map::new()))
        })
        .await
    }

    /// Every token, oldest first, expired ones included.
    pub async fn tokens(&self, clock: Clock) -> AdminResult<Vec<TokenView>> {
        let stored = self.stored_operators(clock.now() / 1000).await?;
        let mut tokens: Vec<_> =
            stored.tokens.iter().map(|(id, token)| TokenView::new(id, token)).collect();
        tokens.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
        Ok(tokens)
    }

    /// Makes a token. Its text is in the returned value and nowhere else.
    pub async fn create_token(
        &self,
        new: &NewToken,
        author: Author<'_>,
    ) -> AdminResult<(TokenView, Secret)> {
        check_name(&new.name)?;

        let (id, text) = (random_text(8)?, format!("{TOKEN_PREFIX}{}", random_text(32)?));
        let id = format!("token_{id}");

        let token = StoredToken {
            name: new.name.clone(),
            role: new.role,
            hash: KeyHash::of(&text),
            last_four: text.get(text.len() - 4..).unwrap_or_default().to_owned(),
            created_by: author.name.to_owned(),
            created: author.at,
            expires: new.expires,
        };
        self.change_operators(author, (Action::CreateToken, &id), |stored| {
            if MAX_ENTRIES <= stored.tokens.len() {
                return Err(Problem::new(ProblemKind::Conflict, "There are too many tokens."));
            }
            stored.tokens.insert(id.clone(), token.clone());
            let changes = changes([
                ("name", Value::Null, json!(new.name)),
                ("role", Value::Null, json!(new.role)),
            ]);
            Ok(((), changes))
        })
        .await?;
        Ok((TokenView::new(&id, &token), Secret::new(text)))
    }

    /// Removes a token.
    pub async fn revoke_token(&self, id: &str, author: Author<'_>) -> AdminResult<()> {
        self.change_operators(author, (Action::RevokeToken, id), |stored| {
            let gone = stored.tokens.remove(id).ok_or_else(|| Problem::not_found("token"))?;
            Ok(((), changes([("name", json!(gone.name), Value::Null)])))
        })
        .await
    }
}

/// Makes the first operator of a gateway that has none, and gives its password; nothing where there
/// is one. Of several processes that start at once, one makes it.
pub async fn make_first_operator(
    config_table: Arc<dyn Table>,
    now: u64,
) -> AdminResult<Option<Secret>> {
    let operator_table = OperatorTable::new(config_table);
    // Before the hash: every cold start comes here, and a hash takes long.
    if !operator_table.read(now).await?.operators.is_empty() {
        return Ok(None);
    }
    let password = password::generate()?;
    let hash = password::hash(&password).await?;
    let first = StoredOperator { role: Role::Admin, password: hash, created: now, updated: now };
    let is_made = operator_table.change(now, |stored| {
        // Once more, under the version: another instance may have been faster.
        if !stored.operators.is_empty() {
            return Ok(false);
        }
        stored.operators.insert(FIRST_OPERATOR.to_owned(), first.clone());
        Ok(true)
    });
    // The password of the one that lost the race is of no operator, and must not be shown.
    Ok(is_made.await?.then_some(password))
}

/// Gives a stored operator a new password, made up here. Where there is no operator at all, one is
/// made, with the role `admin`. For whoever can reach the store and is locked out; `configured` are
/// the names that the configuration declares.
pub async fn reset_password(
    config_table: Arc<dyn Table>,
    name: &str,
    configured: &[String],
    now: u64,
) -> AdminResult<Secret> {
    check_name(name)?;
    // Its stored password would be none that authentication looks at, until the entry is removed.
    if configured.iter().any(|known| known == name) {
        let detail = format!("The configuration declares `{name}`: change the password there.");
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    let password = password::generate()?;
    let hash = password::hash(&password).await?;
    let made =
        StoredOperator { role: Role::Admin, password: hash.clone(), created: now, updated: now };
    let operator_table = OperatorTable::new(config_table.clone());
    let is_made = operator_table
        .change(now, |stored| {
            let is_made = stored.operators.is_empty() && configured.is_empty();
            if !is_made && !stored.operators.contains_key(name) {
                let known: Vec<&str> = stored.operators.keys().map(String::as_str).collect();
                let detail = format!("There is no such operator in the store; {}.", listed(&known));
                return Err(Problem::new(ProblemKind::NotFound, detail));
            }
            let operator = stored.operators.entry(name.to_owned()).or_insert_with(|| made.clone());
            operator.password.clone_from(&hash);
            operator.updated = now;
            // Whoever was signed in with the lost password is signed out.
            *stored.epochs.entry(name.to_owned()).or_default() += 1;
            Ok(is_made)
        })
        .await?;

    let entry = tenants::AuditEntry {
        at: now,
        actor: "terminal".to_owned(),
        action: if is_made { Action::CreateOperator } else { Action::UpdateOperator },
        tenant: String::new(),
        subject: Some(name.to_owned()),
        changes: changes([("password", Value::Null, json!("[secret]"))]),
    };
    tenants::Tenants::new(config_table).record(&entry).await?;
    Ok(password)
}

/// Which operators there are, in words.
fn listed(names: &[&str]) -> String {
    match names {
        [] => "there is none".to_owned(),
        names => format!("there are: {}", names.join(", ")),
    }
}

/// Refuses a change that leaves nobody who may change operators.
fn keep_an_admin(stored: &StoredOperators, configured: &[(String, Role)]) -> AdminResult<()> {
    let roles = stored.operators.values().map(|it| it.role);
    let mut roles = roles.chain(configured.iter().map(|(_, role)| *role));
    if roles.any(|role| role == Role::Admin) {
        return Ok(());
    }
    let detail = "The last operator with the role `admin` has to stay one.";
    Err(Problem::new(ProblemKind::Conflict, detail))
}

fn check_name(name: &str) -> AdminResult<()> {
    // HTTP Basic ends a name at its first colon.
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@+ ".contains(&byte);
    if name.trim() == name && (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    let rule = "A name has 1 to 64 letters without accents, digits, blanks within, `-`, `_`, `.`, \
                `@` and `+`.";
    Err(Problem::field("name", rule))
}

/// What differs, as the audit shows it.
fn changes<const N: usize>(fields: [(&str, Value, Value); N]) -> Map<String, Value> {
    let differs = fields.into_iter().filter(|(_, before, after)| before != after);
    differs
        .map(|(field, before, after)| {
            (field.to_owned(), json!({ "before": before, "after": after }))
        })
        .collect()
}

/// Random bytes as hexadecimal digits; an error without randomness.
pub(crate) fn random_text(bytes: usize) -> AdminResult<String> {
    let random = SealingKey::generate();
    let random: [u8; SEALING_KEY_BYTES] =
        random.ok_or_else(|| Problem::new(ProblemKind::Internal, "There is no randomness."))?;
    Ok(random.iter().take(bytes).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use storage::sqlite;

    use super::*;

    const NOW: u64 = 1_795_860_000;

    #[tokio::test]
    async fn the_first_operator_is_made_once() {
        let table = sqlite::in_memory().unwrap().config;
        let password = make_first_operator(table.clone(), NOW).await.unwrap().unwrap();
        assert!(make_first_operator(table.clone(), NOW).await.unwrap().is_none());
        let stored = OperatorTable::new(table).read(NOW).await.unwrap();
        let first = &stored.operators[FIRST_OPERATOR];
        assert_eq!(first.role, Role::Admin);
        assert!(password::verify(&password, Some(&first.password)).await.unwrap());
    }

    #[tokio::test]
    async fn a_password_that_is_reset_ends_sessions_and_keeps_the_role() {
        let table = sqlite::in_memory().unwrap().config;
        make_first_operator(table.clone(), NOW).await.unwrap();
        let password = reset_password(table.clone(), FIRST_OPERATOR, &[], NOW).await.unwrap();
        let stored = OperatorTable::new(table.clone()).read(NOW).await.unwrap();
        let hash = &stored.operators[FIRST_OPERATOR].password;
        assert!(password::verify(&password, Some(hash)).await.unwrap());
        assert_eq!(stored.epoch(FIRST_OPERATOR), 1);
        assert!(reset_password(table, "a:b", &[], NOW).await.is_err());
    }

    #[tokio::test]
    async fn a_password_is_made_anew_for_a_stored_operator_alone() {
        let table = sqlite::in_memory().unwrap().config;
        let configured = ["root".to_owned()];
        let reset = |name, configured| reset_password(table.clone(), name, configured, NOW);
        // Of the configuration, and none that anybody has.
        assert!(reset("root", &configured).await.is_err());
        assert!(reset("rot", &configured).await.is_err());
        assert!(reset("ann", &[]).await.is_ok(), "the first one of all is made");
        let problem = reset("amm", &[]).await.unwrap_err();
        assert!(problem.detail.ends_with("there are: ann."), "{}", problem.detail);
        let stored = OperatorTable::new(table.clone()).read(NOW).await.unwrap();
        assert_eq!(stored.operators.keys().collect::<Vec<_>>(), ["ann"]);
    }
}

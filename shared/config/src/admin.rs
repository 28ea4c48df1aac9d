//! Who may use `/admin`, and the address under which browsers reach it.

use super::{
    SecretSource,
    cors::origin,
    keys::{Key, Keys, Takes, words},
    node::Node,
    provider::secret,
    read::{Named, claim},
    reader::Reader,
    secrets::Place,
    write::{Entries, Map, WriteSecret, Written, bare, text},
};

pub(super) const ADMIN: Keys = Keys {
    of: "admin",
    keys: &[
        Key::new(
            "users",
            Takes::List(&Takes::Mapping(&USER)),
            "one is made at the first start",
            "who may sign in",
        ),
        Key::new(
            "public_url",
            Takes::Text,
            "the request's own",
            "the origin under which browsers reach the gateway, such as `https://gateway.example.com`",
        ),
    ],
};
pub(super) const USER: Keys = Keys {
    of: "a user",
    keys: &[
        Key::required("name", Takes::Text, "what the user signs in with"),
        Key::required(
            "password",
            Takes::Text,
            "the password, or its argon2id hash as a PHC string (`$argon2id$v=19$…`)",
        ),
        Key::new("role", Takes::Words(&words(&ROLES)), "`viewer`", "`viewer`, `editor` or `admin`"),
    ],
};
/// How the hash of a password begins (the PHC string format).
const HASH_PREFIX: &str = "$argon2id$";
const ROLES: [(&str, Role); 3] =
    [("viewer", Role::Viewer), ("editor", Role::Editor), ("admin", Role::Admin)];

/// Who may use `/admin`.
#[derive(Clone, Debug, Default)]
pub struct Admin {
    /// The users that the configuration declares. None: one is made at the first start.
    pub users: Vec<AdminUser>,
    /// The origin under which browsers reach the gateway, such as `https://gateway.example.com`,
    /// where the `Host` header does not say.
    pub public_url: Option<String>,
}

/// A person who may use `/admin`.
#[derive(Clone, Debug)]
pub struct AdminUser {
    /// The name to sign in with, unlike every other user's.
    pub name: String,
    /// The password, or its argon2id hash as a PHC string.
    pub password: SecretSource,
    /// What the user may do.
    pub role: Role,
}

/// What a user of `/admin` may do; each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look at everything but secrets.
    #[default]
    Viewer,
    /// Change tenants, keys and prices.
    Editor,
    /// Change everything.
    Admin,
}

impl Role {
    /// The role's name in configurations and in the admin API.
    pub fn name(self) -> &'static str {
        ROLES.iter().find(|(_, role)| *role == self).map_or("", |(name, _)| name)
    }
}

/// Whether a configured password is an argon2id hash rather than the password itself.
pub fn is_password_hash(password: &str) -> bool {
    password.starts_with(HASH_PREFIX)
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Admin> {
    let fields = reader.fields(node, &ADMIN)?;
    // Names are compared with each other here alone: users share no name space with anything else.
    let mut names = vec![];
    let users = reader.list(fields, "users", |it, node| user(&mut names, it, node));
    let public_url = reader.optional(fields, "public_url", |it, node| {
        // Browsers send origins without a slash at the end and in lower case, and are compared by
        // text.
        it.checked_text(node, public_origin).trim_end_matches('/').to_ascii_lowercase()
    });
    Some(Admin { users, public_url })
}

fn user(names: &mut Vec<Named>, reader: &mut Reader<'_>, node: &Node<'_>) -> Option<AdminUser> {
    let fields = reader.fields(node, &USER)?;
    let name = reader.required(fields, "name", |reader, node| {
        let name = reader.checked_text(node, user_name);
        claim(names, reader, &name, node.at);
        name
    });
    let role = reader.optional(fields, "role", |it, node| it.word(node, &ROLES)).flatten();
    let password = reader.required(fields, "password", password);
    // A user without a readable password is left out; the error about it refuses the whole anyway.
    Some(AdminUser { name, password: password?, role: role.unwrap_or_default() })
}

fn password(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<SecretSource> {
    let source = secret(reader, node)?;
    // A hash that lost a part, such as to a shell that expanded `$v`, would lock its user out for
    // ever. What a parameter holds is not known here.
    if let SecretSource::Value { value, .. } = &source
        && is_password_hash(value.expose())
        && value.expose().split('$').filter(|part| !part.is_empty()).count() != 5
    {
        reader.report(node.at, "is no argon2id hash: write $argon2id$v=19$m=…,t=…,p=…$salt$hash");
    }
    Some(source)
}

/// Whether a user may be called this; HTTP Basic ends the name at the first colon.
fn user_name(text: &str) -> Result<(), &'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte);
    if text.len() <= 64 && text.bytes().all(fits) {
        return Ok(());
    }
    Err("is no user's name: at most 64 letters without accents, digits, `-`, `_`, `.`, `@` and `+`")
}

fn public_origin(text: &str) -> Result<(), &'static str> {
    if text.starts_with("https://") || text.starts_with("http://") {
        // An origin has no path: behind one, neither cookies nor redirects of `/admin` would be
        // right.
        return origin(text);
    }
    Err("begins with neither http:// nor https://")
}

pub(super) fn write(it: &Admin, secret: WriteSecret<'_>) -> Option<Written> {
    let user = |user: &AdminUser| Written::Map(write_user(user, secret));
    let users: Vec<Written> = it.users.iter().map(user).collect();
    let mut map = Map::default();
    map.unless("users", users.is_empty(), Written::List(users));
    map.some("public_url", it.public_url.as_ref().map(text));
    map.section()
}

fn write_user(it: &AdminUser, secret: WriteSecret<'_>) -> Entries {
    let mut map = Map::default();
    map.put("name", text(&it.name));
    map.put("password", secret(&password_place(&it.name), &it.password));
    map.unless("role", it.role == Role::default(), bare(&it.role.name()));
    map.0
}

/// The place of a user's password.
pub(super) fn password_place(user: &str) -> Place {
    Place::AdminPassword { user: user.to_owned() }
}

//! The certificate with which the server serves HTTPS.

use super::{
    keys::{Key, Keys, Takes},
    node::Node,
    reader::Reader,
    write::{Map, Written, text},
};

pub(super) const TLS: Keys = Keys {
    of: "tls",
    keys: &[
        Key::required(
            "cert",
            Takes::Text,
            "the PEM file of the certificate and those that vouch for it; read again when it changes",
        ),
        Key::required("key", Takes::Text, "the PEM file of its key"),
    ],
};

/// The certificate with which the server serves HTTPS; its files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The PEM file of the certificate and those that vouch for it.
    pub cert: String,
    /// The PEM file of its key.
    pub key: String,
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Tls> {
    let fields = reader.fields(node, &TLS)?;
    Some(Tls {
        cert: reader.required(fields, "cert", Reader::text),
        key: reader.required(fields, "key", Reader::text),
    })
}

pub(super) fn write(it: &Tls) -> Written {
    let mut map = Map::default();
    map.put("cert", text(&it.cert));
    map.put("key", text(&it.key));
    Written::Map(map.0)
}

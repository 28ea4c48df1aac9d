//! Databases of other programs, as an import finds them.

use std::path::Path;

use rusqlite::Connection;

/// Makes a database by these statements.
///
/// # Panics
///
/// When a statement fails.
pub fn make_database(path: &Path, sql: &str) {
    let connection = Connection::open(path).expect("a database can be made");
    connection.execute_batch(sql).expect("every statement is valid");
}

//! Tables of another program's database, read once for an import.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row, types::ValueRef};
use serde_json::{Map, Value};

use crate::error::StoreError;

/// How the file of a database of SQLite begins.
pub const FILE_HEADER: &[u8] = b"SQLite format 3\0";

const READING: &str = "reading another program's database";

/// The rows of one table of another program's database as a JSON list, in the order in which they
/// were written. Bytes become hexadecimal digits. The file is only read.
pub fn read_foreign_table(path: &Path, table: &str) -> Result<String, StoreError> {
    let rows = rows(path, table).map_err(|error| StoreError::new(READING, error))?;
    Ok(Value::Array(rows).to_string())
}

fn rows(path: &Path, table: &str) -> rusqlite::Result<Vec<Value>> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let name = table.replace('"', "\"\"");
    let mut statement = connection.prepare(&format!("SELECT * FROM \"{name}\" ORDER BY rowid"))?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let rows = statement.query_map([], |row| object(row, &columns))?;
    rows.collect()
}

fn object(row: &Row<'_>, columns: &[String]) -> rusqlite::Result<Value> {
    let mut object = Map::new();
    for (index, name) in columns.iter().enumerate() {
        object.insert(name.clone(), json(row.get_ref(index)?));
    }
    Ok(Value::Object(object))
}

fn json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_with_every_kind_of_value() {
        let path = std::env::temp_dir().join(format!("lockgate-foreign-{}", std::process::id()));
        drop(std::fs::remove_file(&path));
        let connection = Connection::open(&path).unwrap();
        let sql = "CREATE TABLE \"a\"\"b\" (n INTEGER, r REAL, t TEXT, b BLOB, x);
                   INSERT INTO \"a\"\"b\" VALUES (2, 0.5, 'text', x'00ff', NULL);";
        connection.execute_batch(sql).unwrap();
        let rows = read_foreign_table(&path, "a\"b").unwrap();
        assert_eq!(rows, r#"[{"b":"00ff","n":2,"r":0.5,"t":"text","x":null}]"#);
        assert!(read_foreign_table(&path, "clients").is_err());
        std::fs::remove_file(&path).unwrap();
    }
}

//! `lockgate export`: the live configuration as YAML, a variable in place of each secret.

use std::{error::Error, io};

use config::{
    Config, ProviderKind,
    rows::{PARTITION, Unreadable, from_rows},
    to_yaml,
};
use storage::{Query, Table};

/// Prints the configuration that a table holds.
pub(crate) async fn export(
    table: &dyn Table,
    kinds: &[ProviderKind],
    out: &mut dyn io::Write,
) -> Result<(), Box<dyn Error>> {
    let config = live(table, kinds).await?;
    out.write_all(to_yaml(&config).as_bytes())?;
    Ok(())
}

/// Reads the configuration, once more if it was changed meanwhile.
pub(crate) async fn live(
    table: &dyn Table,
    kinds: &[ProviderKind],
) -> Result<Config, Box<dyn Error>> {
    // Rows of the configuration do not expire, so any time will do.
    let query = Query::partition(PARTITION, 0);
    match from_rows(&table.query(&query).await?.rows, kinds) {
        // Rows were being written: a moment later they are whole.
        Err(Unreadable::Torn) => Ok(from_rows(&table.query(&query).await?.rows, kinds)?),
        known => Ok(known?),
    }
}

#[cfg(test)]
mod tests {
    use config::{read, rows::to_rows};
    use storage::{Change, sqlite};

    use super::*;

    const KINDS: [ProviderKind; 1] = [ProviderKind {
        name: "ollama",
        needs_base_url: false,
        needs_key: false,
        takes_region: false,
    }];

    #[tokio::test]
    async fn what_was_applied_is_exported() {
        let text = "api_key: ${A}\n\nproviders:\n  - name: p\n    type: ollama\n    base_url: http://host:1\n";
        let config = read(text, &|_| Some("hidden".to_owned()), &KINDS).unwrap();
        let stores = sqlite::in_memory().unwrap();
        let rows = to_rows(&config, "/p").0;
        let changes: Vec<Change> = rows.into_iter().map(Change::Put).collect();
        stores.config.write(&changes).await.unwrap();
        let mut out = vec![];
        export(&*stores.config, &KINDS, &mut out).await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[tokio::test]
    async fn an_empty_table_is_named_as_empty() {
        let stores = sqlite::in_memory().unwrap();
        let error = export(&*stores.config, &KINDS, &mut vec![]).await.unwrap_err();
        assert_eq!(error.to_string(), "there is no configuration yet; `apply` writes one");
    }
}

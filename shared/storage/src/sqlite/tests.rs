use super::*;

#[tokio::test]
async fn the_next_write_removes_what_a_reader_found_expired() {
    let table = in_memory().unwrap().state;
    let row = |sk: &str, expires| {
        let text = |text: &str| text.to_owned();
        Change::Put(Row { pk: text("a"), sk: text(sk), value: text(""), expires })
    };
    table.write(&[row("past", Some(10)), row("ahead", Some(11))]).await.unwrap();
    assert_eq!(table.query(&Query::partition("a", 10)).await.unwrap().rows.len(), 1);
    table.write(&[row("new", None)]).await.unwrap();
    let left = table.query(&Query::partition("a", 0)).await.unwrap().rows;
    assert_eq!(left.into_iter().map(|row| row.sk).collect::<Vec<_>>(), ["ahead", "new"]);
}

#[test]
fn a_full_synchronous_file_waits_for_the_disk_on_every_commit() {
    for (synchronous, value) in [(Synchronous::Normal, 1), (Synchronous::Full, 2)] {
        let mut connection = Connection::open_in_memory().unwrap();
        let options = SqliteOptions { synchronous, ..SqliteOptions::default() };
        prepare(&mut connection, options).unwrap();
        let set = connection.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0));
        assert_eq!(set.unwrap(), value);
    }
}

#[test]
fn a_write_does_not_overtake_a_tally_of_its_row() {
    let row = |value: &str| Row {
        pk: "a".to_owned(),
        sk: "1".to_owned(),
        value: value.to_owned(),
        expires: None,
    };
    let put = |value: &str| WriteJob::Rows {
        table: "state",
        changes: vec![Change::Put(row(value))],
        callers: vec![],
    };
    let tally = || WriteJob::Tally {
        table: "state",
        change: Tally { pk: "a".to_owned(), sk: "1".to_owned(), ..Tally::default() },
        urgency: Urgency::Now,
        caller: oneshot::channel().0,
    };
    let delete = || WriteJob::Rows {
        table: "state",
        changes: vec![Change::Delete { pk: "a".to_owned(), sk: "1".to_owned() }],
        callers: vec![],
    };
    let elsewhere =
        || WriteJob::Rows { table: "config", changes: vec![Change::Put(row(""))], callers: vec![] };
    let superseded = |job: WriteJob, queued: Vec<WriteJob>| job.superseded(&queued.into());
    assert_eq!(superseded(put("new"), vec![put("old"), elsewhere()]), Some(0));
    assert_eq!(superseded(delete(), vec![put("old")]), Some(0));
    assert_eq!(superseded(put("new"), vec![put("old"), tally()]), None);
    assert_eq!(superseded(tally(), vec![tally()]), None);
    assert_eq!(superseded(put("new"), vec![elsewhere()]), None);
}

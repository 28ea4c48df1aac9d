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

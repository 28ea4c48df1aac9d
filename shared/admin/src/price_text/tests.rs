use super::*;
use crate::problem::ProblemKind;

const LINE: &str =
    "- { provider: \"p\", model: \"m: x\", input: 0.35, output: 1, cache_write: 0.5 }";

fn price() -> NewPrice {
    NewPrice {
        provider: "p".to_owned(),
        model: "m: x".to_owned(),
        input: 0.35,
        output: 1.0,
        cached_input: None,
        cache_write: Some(0.5),
    }
}

/// The text with the price, of which it had another.
fn changed(text: &str, cached_input: Option<u64>, cache_write: Option<u64>) -> AdminResult<String> {
    let (provider, model) = ("p".to_owned(), "m: x".to_owned());
    let (input, output) = (250_000, 1_000_000);
    let old = Price { provider, model, input, output, cached_input, cache_write };
    with_prices(text, &[old], &[price()])
}

#[test]
fn a_new_price_is_put_into_the_list_or_makes_one() {
    for (text, wanted) in [
        (
            "a: 1\nprices: # ours\n  # of q\n  - { provider: q }\nb: 2\n",
            "a: 1\nprices: # ours\n  L\n  # of q\n  - { provider: q }\nb: 2\n",
        ),
        ("prices:\n- { provider: q }\n", "prices:\nL\n- { provider: q }\n"),
        ("prices: []\n", "prices: [X]\n"),
        ("prices: [{ provider: q }]\n", "prices: [X, { provider: q }]\n"),
        (
            "a: 1\r\nprices:\r\n    - provider: q\r\n",
            "a: 1\r\nprices:\r\n    L\r\n    - provider: q\r\n",
        ),
        ("a: 1", "a: 1\n\nprices:\n  L\n"),
        ("  a: 1\n  b: 2\n", "  a: 1\n  b: 2\n\n  prices:\n    L\n"),
    ] {
        let wanted = wanted.replace('L', LINE).replace('X', LINE.trim_start_matches("- "));
        assert_eq!(with_prices(text, &[], &[price()]).unwrap(), wanted, "{text}");
    }
}

#[test]
fn a_price_is_changed_where_it_stands() {
    for (text, wanted) in [
        (
            "prices:\n  - { model: 'm: x', provider: '${P}', input: 0.25, output: 1.00 } # ours\n",
            "prices:\n  - { model: 'm: x', provider: '${P}', input: 0.35, output: 1.00, cache_write: 0.5 } # ours\n",
        ),
        (
            "prices: # of p\n- provider: p\n  model: 'm: x' # it\n  input: ${IN} # old\n  output: 1 # dear\n# end\nb: 1\n",
            "prices: # of p\n- provider: p\n  model: 'm: x' # it\n  input: 0.35 # old\n  output: 1 # dear\n  cache_write: 0.5\n# end\nb: 1\n",
        ),
        (
            "prices:\r\n- provider: p\r\n  input: 0.25\r\n  output: 1\r\nb: 1\r\n",
            "prices:\r\n- provider: p\r\n  input: 0.35\r\n  output: 1\r\n  cache_write: 0.5\r\nb: 1\r\n",
        ),
        (
            "prices: [{ provider: p, input: 0.25, output: 1 }, &x { provider: q }]\n",
            "prices: [{ provider: p, input: 0.35, output: 1, cache_write: 0.5 }, &x { provider: q }]\n",
        ),
    ] {
        assert_eq!(changed(text, None, None).unwrap(), wanted);
    }
}

#[test]
fn a_rate_that_is_named_no_more_goes_away() {
    for (text, wanted) in [
        (
            "- { cached_input: 1, input: 0.35, cache_write: 0.5 }",
            "- { input: 0.35, cache_write: 0.5 }",
        ),
        (
            "- { input: 0.35, cached_input: 1, cache_write: 0.5 } # a",
            "- { input: 0.35, cache_write: 0.5 } # a",
        ),
        (
            "- input: 0.35\n  cached_input: 1 # a\n  cache_write: 0.5",
            "- input: 0.35\n  cache_write: 0.5",
        ),
    ] {
        let text = format!("prices:\n{text}\n").replace("0.35", "0.25");
        let changed = changed(&text, Some(1_000_000), Some(500_000)).unwrap();
        assert_eq!(changed, format!("prices:\n{wanted}\n"));
    }
}

#[test]
fn what_cannot_be_changed_in_its_place_is_named_by_its_line() {
    let text = "prices:\n- &x { provider: q, input: 0.25 }\n- { <<: *x, provider: p }\n";
    let old = |provider: &str| Price {
        provider: provider.to_owned(),
        model: "m: x".to_owned(),
        input: 250_000,
        output: 1_000_000,
        cached_input: None,
        cache_write: None,
    };
    let problem = with_prices(text, &[old("q"), old("p")], &[price()]).unwrap_err();
    assert_eq!((problem.kind, problem.fields[0].line), (ProblemKind::Conflict, Some(3)));
}

//! The rules of cooldowns, one example each, under clocks that are moved by hand.

use super::*;

const WALL: u64 = 1_790_000_000_000;
const KEY: KeyFingerprint = KeyFingerprint([7; KeyFingerprint::BYTES]);
const SECOND: Duration = Duration::from_secs(1);

fn what(provider: &str) -> Cooldown {
    Cooldown { provider: provider.to_owned(), model: "m".to_owned(), key: KEY }
}

fn left(cooldowns: &Cooldowns, provider: &str, now: Instant) -> u64 {
    cooldowns.remaining(provider, "m", KEY, now).as_secs()
}

fn share(from: &Cooldowns, now: Instant, wall: u64) -> Vec<SharedCooldown> {
    let changes = from.take_changes(now, wall);
    from.published(&changes, now);
    let began = changes.into_iter().filter_map(|change| match change {
        CooldownChange::Began(shared) => Some(shared),
        CooldownChange::Ended(_) => None,
    });
    began.collect()
}

#[test]
fn a_cooldown_ends_by_itself() {
    let (cooldowns, now) = (Cooldowns::default(), Instant::now());
    cooldowns.begin(what("a"), 100 * SECOND, now);
    assert_eq!(left(&cooldowns, "a", now + 40 * SECOND), 60);
    assert_eq!(left(&cooldowns, "a", now + 100 * SECOND), 0);
    assert_eq!(left(&cooldowns, "b", now), 0);
}

#[test]
fn a_success_ends_a_cooldown_and_that_is_published() {
    let (cooldowns, now) = (Cooldowns::default(), Instant::now());
    cooldowns.begin(what("a"), 100 * SECOND, now);
    share(&cooldowns, now, WALL);
    cooldowns.end("a", "m", KEY, now + SECOND);
    assert_eq!(left(&cooldowns, "a", now + SECOND), 0);
    let changes = cooldowns.take_changes(now + SECOND, WALL + 1_000);
    assert_eq!(changes, [CooldownChange::Ended(what("a"))]);
}

#[test]
fn the_success_of_an_older_request_ends_no_newer_cooldown() {
    let (cooldowns, sent) = (Cooldowns::default(), Instant::now());
    cooldowns.begin(what("a"), 100 * SECOND, sent + SECOND);
    cooldowns.end("a", "m", KEY, sent);
    assert_eq!(left(&cooldowns, "a", sent + SECOND), 100);
}

#[test]
fn only_the_newest_change_of_a_cooldown_is_published() {
    let (cooldowns, now) = (Cooldowns::default(), Instant::now());
    for length in 1..=50 {
        cooldowns.begin(what("a"), length * SECOND, now);
    }
    let shared = share(&cooldowns, now, WALL);
    assert_eq!((shared.len(), shared[0].until), (1, WALL + 50_000));
    assert!(cooldowns.take_changes(now, WALL).is_empty());
}

#[test]
fn cooldowns_are_learned_from_other_instances() {
    let (ours, theirs, now) = (Cooldowns::default(), Cooldowns::default(), Instant::now());
    ours.begin(what("a"), 100 * SECOND, now);
    let shared = share(&ours, now, WALL);
    theirs.learn(&shared, now + 2 * SECOND, WALL + 2_000);
    assert_eq!(left(&theirs, "a", now + 2 * SECOND), 98);
    assert!(theirs.take_changes(now, WALL).is_empty(), "what was learned is not published again");
}

#[test]
fn what_another_instance_ended_is_over_here_too() {
    let (ours, theirs, now) = (Cooldowns::default(), Cooldowns::default(), Instant::now());
    ours.begin(what("a"), 100 * SECOND, now);
    theirs.learn(&share(&ours, now, WALL), now, WALL);
    theirs.end("a", "m", KEY, now + SECOND);
    ours.learn(&[], now + 2 * SECOND, WALL + 2_000);
    assert_eq!(left(&ours, "a", now + 2 * SECOND), 0);
}

#[test]
fn a_read_that_began_before_the_write_ends_nothing() {
    let (cooldowns, now) = (Cooldowns::default(), Instant::now());
    cooldowns.begin(what("a"), 100 * SECOND, now);
    cooldowns.learn(&[], now, WALL);
    share(&cooldowns, now + SECOND, WALL);
    cooldowns.learn(&[], now, WALL);
    assert_eq!(left(&cooldowns, "a", now), 100);
}

#[test]
fn what_changed_here_is_newer_than_what_is_shared() {
    let (ours, theirs, now) = (Cooldowns::default(), Cooldowns::default(), Instant::now());
    ours.begin(what("a"), 100 * SECOND, now);
    let shared = share(&ours, now, WALL);
    theirs.learn(&shared, now, WALL);
    theirs.end("a", "m", KEY, now + SECOND);
    theirs.learn(&shared, now + SECOND, WALL + 1_000);
    assert_eq!(left(&theirs, "a", now + SECOND), 0);
}

#[test]
fn a_wall_clock_that_was_set_back_prolongs_nothing() {
    let day = 24 * 60 * 60 * 1_000;
    let (ours, theirs, now) = (Cooldowns::default(), Cooldowns::default(), Instant::now());
    ours.begin(what("a"), 20 * SECOND, now);
    let shared = share(&ours, now, WALL);
    theirs.learn(&shared, now, WALL - day);
    ours.learn(&shared, now + SECOND, WALL - day);
    assert_eq!(left(&theirs, "a", now), 20);
    assert_eq!(left(&ours, "a", now + SECOND), 19);
}

#[test]
fn nobody_believes_a_shared_cooldown_for_more_than_a_day() {
    let (cooldowns, now) = (Cooldowns::default(), Instant::now());
    let shared = SharedCooldown {
        provider: "a".to_owned(),
        model: "m".to_owned(),
        key: KEY.to_string(),
        since: WALL,
        until: WALL + 30 * 24 * 60 * 60 * 1_000,
    };
    cooldowns.learn(&[shared], now, WALL);
    assert_eq!(cooldowns.remaining("a", "m", KEY, now), MAX_SHARED_COOLDOWN);
}

#[test]
fn a_cooldown_belongs_to_one_key() {
    let (cooldowns, now) = (Cooldowns::default(), Instant::now());
    cooldowns.begin(what("a"), 100 * SECOND, now);
    assert!(cooldowns.remaining("a", "m", KeyFingerprint::NONE, now).is_zero());
}

//! The rules of cooldowns, one example each, under clocks that are moved by hand.

use super::*;

const WALL: u64 = 1_790_000_000_000;
const KEY: KeyFingerprint = KeyFingerprint([7; KeyFingerprint::BYTES]);
const SECOND: Duration = Duration::from_secs(1);

fn what(provider: &str) -> Cooldown {
    Cooldown { provider: provider.to_owned(), model: "m".to_owned(), key: KEY }
}

fn begin(cooldowns: &Cooldowns, length: Duration, now: Instant) {
    begin_for(cooldowns, CooldownReason::RateLimit, length, now);
}

fn begin_for(cooldowns: &Cooldowns, reason: CooldownReason, length: Duration, now: Instant) {
    cooldowns.begin(
        what("a"),
        CooldownCause { reason, length, max: 160 * SECOND, is_named: false, sent: now },
        now,
    );
}

fn left(cooldowns: &Cooldowns, provider: &str, now: Instant) -> u64 {
    cooldowns.remaining(provider, "m", KEY, now).as_secs()
}

#[test]
fn an_outage_that_goes_on_cools_down_for_twice_as_long() {
    let (cooldowns, mut now) = (Cooldowns::default(), Instant::now());
    let mut lengths = vec![];
    for _ in 0..7 {
        begin_for(&cooldowns, CooldownReason::Outage, 10 * SECOND, now);
        lengths.push(left(&cooldowns, "a", now));
        now += Duration::from_secs(left(&cooldowns, "a", now));
    }
    assert_eq!(lengths, [10, 20, 40, 80, 160, 160, 160]);
    cooldowns.end("a", "m", KEY, now);
    begin_for(&cooldowns, CooldownReason::Outage, 10 * SECOND, now);
    assert_eq!(left(&cooldowns, "a", now), 10, "a success starts anew");
}

#[test]
fn failures_that_were_sent_before_the_end_are_one_outage() {
    let (cooldowns, now) = (Cooldowns::default(), Instant::now());
    for _ in 0..5 {
        begin_for(&cooldowns, CooldownReason::Outage, 10 * SECOND, now);
    }
    assert_eq!(left(&cooldowns, "a", now), 10);
}

#[test]
fn one_call_probes_an_outage_before_others_follow() {
    let (cooldowns, now) = (Cooldowns::default(), Instant::now());
    begin_for(&cooldowns, CooldownReason::Outage, 10 * SECOND, now);
    let over = now + 10 * SECOND;
    assert!(cooldowns.is_probed("a", "m", KEY, over));
    cooldowns.claim_probe("a", "m", KEY, over + 30 * SECOND);
    assert_eq!(left(&cooldowns, "a", over), 30);
    cooldowns.release_probe("a", "m", KEY);
    assert_eq!(left(&cooldowns, "a", over), 0);
    cooldowns.claim_probe("a", "m", KEY, over + 30 * SECOND);
    cooldowns.end("a", "m", KEY, over);
    assert_eq!(left(&cooldowns, "a", over), 0);
}

#[test]
fn a_rate_limit_is_over_without_a_probe() {
    let (cooldowns, now) = (Cooldowns::default(), Instant::now());
    begin(&cooldowns, 10 * SECOND, now);
    cooldowns.claim_probe("a", "m", KEY, now + 40 * SECOND);
    assert_eq!(left(&cooldowns, "a", now + 10 * SECOND), 0);
}

#[test]
fn the_reason_and_the_growth_of_an_outage_are_shared() {
    let (ours, theirs, now) = (Cooldowns::default(), Cooldowns::default(), Instant::now());
    begin_for(&ours, CooldownReason::Outage, SECOND, now);
    begin_for(&ours, CooldownReason::Outage, 10 * SECOND, now + 2 * SECOND);
    theirs.merge_shared(&share(&ours, now + 2 * SECOND, WALL), now + 2 * SECOND, WALL);
    assert_eq!(theirs.reason("a", "m", KEY, now + 2 * SECOND), Some(CooldownReason::Outage));
    begin_for(&theirs, CooldownReason::Outage, 10 * SECOND, now + 30 * SECOND);
    assert_eq!(left(&theirs, "a", now + 30 * SECOND), 40);
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
    begin(&cooldowns, 100 * SECOND, now);
    assert_eq!(left(&cooldowns, "a", now + 40 * SECOND), 60);
    assert_eq!(left(&cooldowns, "a", now + 100 * SECOND), 0);
    assert_eq!(left(&cooldowns, "b", now), 0);
}

#[test]
fn a_success_ends_a_cooldown_and_that_is_published() {
    let (cooldowns, now) = (Cooldowns::default(), Instant::now());
    begin(&cooldowns, 100 * SECOND, now);
    share(&cooldowns, now, WALL);
    cooldowns.end("a", "m", KEY, now + SECOND);
    assert_eq!(left(&cooldowns, "a", now + SECOND), 0);
    let changes = cooldowns.take_changes(now + SECOND, WALL + 1_000);
    assert_eq!(changes, [CooldownChange::Ended(what("a"))]);
}

#[test]
fn the_success_of_an_older_request_ends_no_newer_cooldown() {
    let (cooldowns, sent) = (Cooldowns::default(), Instant::now());
    begin(&cooldowns, 100 * SECOND, sent + SECOND);
    cooldowns.end("a", "m", KEY, sent);
    assert_eq!(left(&cooldowns, "a", sent + SECOND), 100);
}

#[test]
fn only_the_newest_change_of_a_cooldown_is_published() {
    let (cooldowns, now) = (Cooldowns::default(), Instant::now());
    for length in 1..=50 {
        begin(&cooldowns, length * SECOND, now);
    }
    let shared = share(&cooldowns, now, WALL);
    assert_eq!((shared.len(), shared[0].until), (1, WALL + 50_000));
    assert!(cooldowns.take_changes(now, WALL).is_empty());
}

#[test]
fn cooldowns_are_learned_from_other_instances() {
    let (ours, theirs, now) = (Cooldowns::default(), Cooldowns::default(), Instant::now());
    begin(&ours, 100 * SECOND, now);
    let shared = share(&ours, now, WALL);
    theirs.merge_shared(&shared, now + 2 * SECOND, WALL + 2_000);
    assert_eq!(left(&theirs, "a", now + 2 * SECOND), 98);
    assert!(theirs.take_changes(now, WALL).is_empty(), "what was learned is not published again");
}

#[test]
fn what_another_instance_ended_is_over_here_too() {
    let (ours, theirs, now) = (Cooldowns::default(), Cooldowns::default(), Instant::now());
    begin(&ours, 100 * SECOND, now);
    theirs.merge_shared(&share(&ours, now, WALL), now, WALL);
    theirs.end("a", "m", KEY, now + SECOND);
    ours.merge_shared(&[], now + 2 * SECOND, WALL + 2_000);
    assert_eq!(left(&ours, "a", now + 2 * SECOND), 0);
}

#[test]
fn a_read_that_began_before_the_write_ends_nothing() {
    let (cooldowns, now) = (Cooldowns::default(), Instant::now());
    begin(&cooldowns, 100 * SECOND, now);
    cooldowns.merge_shared(&[], now, WALL);
    share(&cooldowns, now + SECOND, WALL);
    cooldowns.merge_shared(&[], now, WALL);
    assert_eq!(left(&cooldowns, "a", now), 100);
}

#[test]
fn what_changed_here_is_newer_than_what_is_shared() {
    let (ours, theirs, now) = (Cooldowns::default(), Cooldowns::default(), Instant::now());
    begin(&ours, 100 * SECOND, now);
    let shared = share(&ours, now, WALL);
    theirs.merge_shared(&shared, now, WALL);
    theirs.end("a", "m", KEY, now + SECOND);
    theirs.merge_shared(&shared, now + SECOND, WALL + 1_000);
    assert_eq!(left(&theirs, "a", now + SECOND), 0);
}

#[test]
fn a_wall_clock_that_was_set_back_prolongs_nothing() {
    let day = 24 * 60 * 60 * 1_000;
    let (ours, theirs, now) = (Cooldowns::default(), Cooldowns::default(), Instant::now());
    begin(&ours, 20 * SECOND, now);
    let shared = share(&ours, now, WALL);
    theirs.merge_shared(&shared, now, WALL - day);
    ours.merge_shared(&shared, now + SECOND, WALL - day);
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
        reason: CooldownReason::RateLimit,
        doublings: 0,
    };
    cooldowns.merge_shared(&[shared], now, WALL);
    assert_eq!(cooldowns.remaining("a", "m", KEY, now), MAX_SHARED_COOLDOWN);
}

#[test]
fn a_cooldown_belongs_to_one_key() {
    let (cooldowns, now) = (Cooldowns::default(), Instant::now());
    begin(&cooldowns, 100 * SECOND, now);
    assert!(cooldowns.remaining("a", "m", KeyFingerprint::NONE, now).is_zero());
}

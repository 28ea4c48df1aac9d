//! The checkpoint: how far the request log is summed, and what it came to.
//!
//! One row that is moved on by compare-and-set. What lies after it is read anew by whoever asks.

use serde::{Deserialize, Serialize};
use storage::{Condition, Consistency, StoreError, Tallied, Tally};

use super::{
    CallSums, LATEST_FAILURES, OTHER, PARTITION, PeriodSums,
    failures::LatestFailures,
    series::{MAX_SERIES, Sums},
};
use crate::{
    Hour,
    request_log::{CallFilter, Cursor, OutcomeFilter, millis},
};

/// The row of the checkpoint.
const CHECKPOINT: &str = "checkpoint";
/// The note that changes with every move.
const VERSION: &str = "v";
/// The note that holds the checkpoint.
const STATE: &str = "state";
/// How long after an hour it is summed for good, in milliseconds. What is written later is lost to
/// sums; a write is attempted for seconds.
const FINAL_AFTER_MS: u64 = 30 * 60 * 1000;
/// How large the state may be, in bytes: a row of DynamoDB has 400 KB at most.
const MAX_STATE_BYTES: usize = 380 * 1024;
/// How many kinds of calls the parts of a state that is too large tell apart, step by step.
const SMALLER_SERIES: [usize; 5] = [150, 75, 37, 18, 0];
/// How many rows one move sums at most.
const MAX_ROWS_OF_MOVE: usize = 20_000;
/// How many moves one caller makes at most.
const MAX_MOVES: usize = 50;
/// How many rows behind the lag make a move worth its write. Whoever reads sums reads these rows, too.
const MIN_ROWS_OF_MOVE: usize = 200;
/// How far back failures are looked for that an earlier version has not kept, in milliseconds.
const FAILURES_SINCE_MS: u64 = 24 * 60 * 60 * 1000;

/// How far the request log is summed, and what it came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The number of moves so far.
    pub(super) version: u64,
    /// The place up to which rows are summed.
    pub(super) through: String,
    /// Everything in hours that were summed for good.
    pub(super) base: Sums,
    /// The hours since, as far as they are summed, oldest first.
    pub(super) hours: Vec<(String, Sums)>,
    /// Records that were written too late for the first sum of their hour.
    pub(super) late: u64,
    /// The hour from which on hours that are summed for good have rows of figures; absent where an
    /// earlier version has summed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) figures_since: Option<String>,
    /// The latest failures of what is summed; absent where an earlier version has summed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failures: Option<LatestFailures>,
}

/// The checkpoint, and what lies after it.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) checkpoint: Checkpoint,
    tail: Tail,
}

/// The rows after a place.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The sums of the rows, by hour.
    pub(super) hours: Vec<PeriodSums<Hour>>,
    /// The latest failures of the rows.
    pub(super) failures: LatestFailures,
    /// How many of the rows are older than the lag.
    settled_rows: usize,
}

impl Tail {
    /// Whether so many rows were read that moving on is worth its write.
    pub(super) fn is_long(&self) -> bool {
        MIN_ROWS_OF_MOVE <= self.settled_rows
    }
}

impl Checkpoint {
    /// The checkpoint of a log whose first row is being written.
    fn first(now_ms: u64) -> Self {
        // The calls whose rows are being written may have ended in the hour before.
        let start = Hour::of(now_ms).previous();
        Self {
            version: 0,
            through: Cursor::moment(start.start()).to_string(),
            base: Sums::default(),
            hours: vec![],
            late: 0,
            figures_since: Some(start.to_string()),
            failures: Some(LatestFailures::default()),
        }
    }

    fn through(&self) -> Cursor {
        Cursor::parse(&self.through).unwrap_or_else(|_| Cursor::moment(0))
    }

    /// The first hour that is not summed for good.
    fn first_open_hour(&self) -> Hour {
        let first = self.hours.first().and_then(|(name, _)| Hour::parse(name));
        first.unwrap_or_else(|| self.through().hour())
    }

    fn add(&mut self, hour: Hour, sums: &Sums) {
        let name = hour.to_string();
        let found = self.hours.iter_mut().find(|(it, _)| *it == name);
        match found {
            // Bounded on every step: the checkpoint is one row, which DynamoDB limits to 400 KB.
            Some((_, open)) => open.merge_within(sums, MAX_SERIES),
            None => self.hours.push((name, sums.bounded())),
        }
    }
}

impl Checkpoint {
    /// The checkpoint as its row holds it. What makes it too large counts as `other`.
    fn into_state(mut self) -> Result<String, StoreError> {
        let mut state = self.serialized()?;
        // Open hours first: they are summed anew when they are over, and the base is not.
        let hours = SMALLER_SERIES.map(|max| (max, Part::OpenHours));
        for (max, part) in hours.into_iter().chain(SMALLER_SERIES.map(|max| (max, Part::Base))) {
            if state.len() <= MAX_STATE_BYTES {
                break;
            }
            tracing::warn!(
                bytes = state.len(),
                max,
                ?part,
                "there are too many kinds of calls to tell all of them apart; the rest is summed \
                 as `{OTHER}`"
            );
            match part {
                Part::OpenHours => {
                    self.hours.iter_mut().for_each(|(_, sums)| *sums = sums.within(max));
                }
                Part::Base => self.base = self.base.within(max),
            }
            state = self.serialized()?;
        }
        Ok(state)
    }

    fn serialized(&self) -> Result<String, StoreError> {
        serde_json::to_string(self)
            .map_err(|error| StoreError::new("writing the sums", error.to_string()))
    }
}

/// A part of the checkpoint that can be made smaller.
#[derive(Clone, Copy, Debug)]
enum Part {
    OpenHours,
    Base,
}

impl Open {
    /// The sums of hours that are not summed for good, oldest first.
    pub(super) fn hours(&self) -> Vec<PeriodSums<Hour>> {
        let mut hours: Vec<PeriodSums<Hour>> = vec![];
        for (name, sums) in &self.checkpoint.hours {
            let period = Hour::parse(name);
            hours.extend(period.map(|period| PeriodSums { period, sums: sums.clone() }));
        }
        for tail in &self.tail.hours {
            match hours.iter_mut().find(|it| it.period == tail.period) {
                Some(hour) => hour.sums.merge(&tail.sums),
                None => hours.push(tail.clone()),
            }
        }
        hours
    }
}

impl CallSums {
    /// Moves the checkpoint on, if there is something to sum. Any process may do this at any time;
    /// whoever is second finds it done.
    pub async fn advance(&self, now_ms: u64) -> Result<(), StoreError> {
        // A log that was not summed for weeks is caught up with in several requests.
        for _ in 0..MAX_MOVES {
            if !self.move_on(now_ms).await? {
                break;
            }
        }
        Ok(())
    }

    /// The checkpoint and what lies after it, up to now. A checkpoint that lies far back is moved on
    /// first. A counter that falls looks like a restart, so that reads are strong.
    pub(super) async fn open(&self, now_ms: u64) -> Result<Open, StoreError> {
        let mut open = self.read_open(now_ms).await?;
        if self.is_far_back(&open.checkpoint.through(), now_ms) || open.tail.is_long() {
            self.advance(now_ms).await?;
            // Read again in any case: another process may have made the move.
            open = self.read_open(now_ms).await?;
        }
        Ok(open)
    }

    /// Whether hours have ended since a place that could be summed.
    pub(super) fn is_far_back(&self, place: &Cursor, now_ms: u64) -> bool {
        place.hour() < Hour::of(self.settled(now_ms))
    }

    /// The moment before which every row is written, in milliseconds since 1970.
    fn settled(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(millis(self.lag))
    }

    pub(super) async fn load(&self, now_ms: u64) -> Result<Checkpoint, StoreError> {
        let now = now_ms / 1000;
        // An old checkpoint would make the compare-and-set fail, or count its rows twice.
        let found = self.table.get_tallies(PARTITION, CHECKPOINT, Consistency::Strong, now).await?;
        let state = found.as_ref().and_then(|it| it.note(STATE));
        let checkpoint = state.map(serde_json::from_str).transpose();
        let checkpoint = checkpoint.map_err(|error| {
            // Starting anew would make totals fall, and would need rows that have expired.
            StoreError::new("reading the sums", format!("their row is damaged: {error}"))
        })?;

        Ok(checkpoint.unwrap_or_else(|| Checkpoint::first(now_ms)))
    }

    async fn read_open(&self, now_ms: u64) -> Result<Open, StoreError> {
        let checkpoint = self.load(now_ms).await?;
        let tail = self.tail(checkpoint.through(), Consistency::Strong, now_ms).await?;
        Ok(Open { checkpoint, tail })
    }

    /// What lies after a place, up to now.
    pub(super) async fn tail(
        &self,
        mut after: Cursor,
        consistency: Consistency,
        now_ms: u64,
    ) -> Result<Tail, StoreError> {
        let (end, settled) = (Cursor::moment(now_ms + 1), Cursor::moment(self.settled(now_ms)));
        // Not stored: what is younger than the lag may still get rows in front of it.
        let mut tail = Tail::default();
        let mut hour = after.hour();
        while hour <= end.hour() {
            let mut sums = Sums::default();
            loop {
                let places = (&after, &end);
                let (rows, more) = self.log.rows_between(hour, places, consistency, now_ms).await?;
                for (cursor, row) in rows {
                    sums.add(&row);
                    tail.failures.note(&row);
                    tail.settled_rows += usize::from(cursor < settled);
                    after = cursor;
                }

                if !more {
                    break;
                }
            }
            if 0 < sums.count() {
                tail.hours.push(PeriodSums { period: hour, sums });
            }
            hour = hour.next();
        }
        Ok(tail)
    }

    /// Makes one move. False when there was nothing to do.
    async fn move_on(&self, now_ms: u64) -> Result<bool, StoreError> {
        let before = self.load(now_ms).await?;

        let mut after = before.clone();
        let first = before.first_open_hour();
        after.figures_since.get_or_insert_with(|| first.to_string());
        self.sum_rows(&mut after, now_ms).await?;
        let is_anything_final = self.finish_hours(&mut after, now_ms).await?;
        // The first move is made even without rows, so that the start of the log does not move with
        // the clock.
        if before.version != 0 && before.through == after.through && !is_anything_final {
            return Ok(false);
        }
        if before.failures.is_none() {
            self.look_for_failures(&mut after, now_ms).await?;
        }
        after.version += 1;
        // Last: hours are in their own rows by then, and a process that dies before this repeats
        // them.
        self.save(&before, &after).await?;
        Ok(true)
    }

    /// Adds failures that were summed by an earlier version, which did not keep them.
    async fn look_for_failures(
        &self,
        checkpoint: &mut Checkpoint,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let filter = CallFilter {
            since: Some(now_ms.saturating_sub(FAILURES_SINCE_MS)),
            outcome: Some(OutcomeFilter::Failed),
            ..CallFilter::default()
        };
        let found = self.log.list(&filter, None, LATEST_FAILURES, now_ms).await?;
        let failures = checkpoint.failures.get_or_insert_default();
        found.rows.iter().for_each(|row| failures.note(row));
        Ok(())
    }

    /// Adds rows after the checkpoint that are older than the lag.
    async fn sum_rows(&self, checkpoint: &mut Checkpoint, now_ms: u64) -> Result<(), StoreError> {
        let end = Cursor::moment(self.settled(now_ms));
        let mut through = checkpoint.through();
        let mut failures = checkpoint.failures.take().unwrap_or_default();
        let mut left = MAX_ROWS_OF_MOVE;
        let mut hour = through.hour();
        while hour <= end.hour() && 0 < left {
            let mut sums = Sums::default();
            let more = loop {
                let places = (&through, &end);
                let (rows, more) =
                    self.log.rows_between(hour, places, Consistency::Strong, now_ms).await?;
                left = left.saturating_sub(rows.len());
                for (cursor, row) in rows {
                    sums.add(&row);
                    failures.note(&row);
                    through = cursor;
                }
                if !more || left == 0 {
                    break more;
                }
            };
            if 0 < sums.count() {
                checkpoint.add(hour, &sums);
            }
            // More in this hour, but no budget: the next move goes on in it.
            if more {
                break;
            }
            hour = hour.next();
            // Beyond the lag the place must stay at the last row, or rows that are written late
            // would be passed.
            if hour <= end.hour() {
                through = Cursor::moment(hour.start());
            }
        }
        checkpoint.through = through.to_string();
        checkpoint.failures = Some(failures);
        Ok(())
    }

    /// Sums hours for good that are long over, and writes their sums. False where there is none.
    async fn finish_hours(
        &self,
        checkpoint: &mut Checkpoint,
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        let is_final = |hour: Hour| hour.end() + FINAL_AFTER_MS <= self.settled(now_ms);
        let mut is_any = false;
        while let Some((name, first)) = checkpoint.hours.first().cloned() {
            let hour = Hour::parse(&name).unwrap_or(Hour::of(0));
            // Rows of the hour are still to be summed by a later move.
            if !is_final(hour) || checkpoint.through().hour() <= hour {
                break;
            }
            // Summed anew, since rows that were written late lie before the checkpoint.
            let (fresh, failures) = self.sum_hour(hour, now_ms).await?;
            let latest = checkpoint.failures.get_or_insert_default();
            failures.rows().iter().for_each(|row| latest.note(row));
            // Rows that expired sooner than an hour later were counted all the same.
            let sums = if fresh.count() < first.count() { first.clone() } else { fresh };
            checkpoint.late += sums.count() - first.count();

            self.write_hour(hour, &sums, now_ms).await?;
            checkpoint.base.merge_within(&sums, MAX_SERIES);
            checkpoint.hours.remove(0);
            is_any = true;
        }
        Ok(is_any)
    }

    /// Sums all rows of an hour, and gives its latest failures.
    async fn sum_hour(
        &self,
        hour: Hour,
        now_ms: u64,
    ) -> Result<(Sums, LatestFailures), StoreError> {
        let (mut sums, mut failures) = (Sums::default(), LatestFailures::default());
        let (mut after, end) = (Cursor::moment(hour.start()), Cursor::moment(hour.end()));
        loop {
            let places = (&after, &end);
            let (rows, more) =
                self.log.rows_between(hour, places, Consistency::Strong, now_ms).await?;
            for (cursor, row) in rows {
                sums.add(&row);
                failures.note(&row);
                after = cursor;
            }
            if !more {
                return Ok((sums, failures));
            }
        }
    }

    /// Saves a move, unless somebody else has made one since.
    async fn save(&self, before: &Checkpoint, after: &Checkpoint) -> Result<(), StoreError> {
        let version = VERSION.to_owned();
        let condition = match before.version {
            0 => Condition::Absent(version.clone()),
            seen => Condition::Is(version.clone(), seen.to_string()),
        };
        let state = after.clone().into_state()?;
        let change = Tally {
            pk: PARTITION.to_owned(),
            sk: CHECKPOINT.to_owned(),
            conditions: vec![condition],
            set: vec![(version, after.version.to_string()), (STATE.to_owned(), state)],
            ..Tally::default()
        };
        match self.table.tally(&change).await? {
            // Not together with the checkpoint: an older row is as right, and has a longer tail.
            Tallied::Done(_) => self.write_view(after).await,
            // Not an error: both summed the same rows, and hours that were written twice are the
            // same.
            Tallied::Refused(_) => tracing::debug!("another process moved the sums on"),
        }
        Ok(())
    }
}

//! All connections of a server: how many there may be, and which one goes first.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use config::ServerLimits;
use tokio::sync::Notify;

use super::connection::{CloseReason, Connection, ServerClock};

/// All connections of a server.
pub(super) struct Connections {
    limits: ServerLimits,
    clock: ServerClock,
    open: Mutex<Open>,
    emptied: Notify,
}

#[derive(Default)]
struct Open {
    next_id: u64,
    connections: HashMap<u64, Entry>,
    per_address: HashMap<IpAddr, u32>,
}

struct Entry {
    connection: Arc<Connection>,
    /// Whether the client has closed its side.
    has_left: Box<dyn Fn() -> bool + Send>,
}

/// A connection in the list. It leaves the list when the guard is dropped.
pub(super) struct Listed {
    id: u64,
    pub(super) connection: Arc<Connection>,
    connections: Arc<Connections>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        // It may be gone from the list already, where its place was given to another.
        open.remove(self.id);
        if open.connections.is_empty() {
            self.connections.emptied.notify_waiters();
        }
    }
}

impl Open {
    fn remove(&mut self, id: u64) {
        let Some(Entry { connection, .. }) = self.connections.remove(&id) else { return };
        if let Some(count) = self.per_address.get_mut(&connection.address()) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&connection.address());
            }
        }
    }

    /// The connection without a call that is idle the longest, of one address or of all.
    fn idlest(&self, address: Option<IpAddr>) -> Option<u64> {
        let considered = self.connections.iter().filter(|(_, entry)| {
            address.is_none_or(|address| entry.connection.address() == address)
        });
        let idle = considered.filter_map(|(id, entry)| Some((entry.connection.idle_since()?, *id)));
        idle.min().map(|(_, id)| id)
    }

    fn close(&mut self, id: u64) {
        if let Some(entry) = self.connections.get(&id) {
            entry.connection.close();
        }
        // Its place is free from now on; the task that serves it ends soon.
        self.remove(id);
    }
}

impl Connections {
    pub(super) fn new(limits: ServerLimits) -> Self {
        let (clock, open) = (ServerClock::start(), Mutex::default());
        Self { limits, clock, open, emptied: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a new connection; none when there are too many and each has a call in progress.
    /// `has_left` is whether the client has closed its side.
    pub(super) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        has_left: impl Fn() -> bool + Send + 'static,
    ) -> Option<Listed> {
        let mut open = self.lock();
        let of_address = open.per_address.get(&address).copied().unwrap_or(0);
        if self.limits.max_connections_per_address <= of_address {
            // The address pays with a connection of its own, so that one client cannot displace
            // others.
            let idlest = open.idlest(Some(address))?;
            open.close(idlest);
        }
        let count = u32::try_from(open.connections.len()).unwrap_or(u32::MAX);
        if self.limits.max_connections <= count {
            let idlest = open.idlest(None)?;
            open.close(idlest);
        }

        let id = open.next_id;
        open.next_id += 1;
        let connection = Arc::new(Connection::new(address, self.clock));
        let entry = Entry { connection: connection.clone(), has_left: Box::new(has_left) };
        open.connections.insert(id, entry);
        *open.per_address.entry(address).or_default() += 1;
        Some(Listed { id, connection, connections: self.clone() })
    }

    /// The shortest of the times that connections are looked at for.
    pub(super) fn shortest_timeout(&self) -> Duration {
        let ServerLimits { head_timeout, write_timeout, keep_alive_timeout, .. } = self.limits;
        head_timeout.min(write_timeout).min(keep_alive_timeout).max(Duration::from_millis(40))
    }

    /// Closes the connection that is idle the longest, where descriptors ran out.
    pub(super) fn close_idlest(&self) {
        let mut open = self.lock();
        if let Some(id) = open.idlest(None) {
            open.close(id);
        }
    }

    /// Closes what has to be closed now.
    pub(super) fn close_overdue(&self) {
        let now = self.clock.now_ms();
        for Entry { connection, has_left } in self.lock().connections.values() {
            // A client that waits for a response and closes its side has gone; without a call it
            // may only be slow to send.
            let left = (connection.is_busy() && has_left()).then_some(CloseReason::Left);
            if let Some(reason) = left.or_else(|| connection.overdue(&self.limits, now)) {
                tracing::debug!(address = %connection.address(), ?reason, "closing a connection");
                // Only asked to close: it stays in the list, and is counted, until its task has
                // ended.
                connection.close();
            }
        }
    }

    /// Closes what has no call in progress, of a server that stops.
    pub(super) fn close_drained(&self) {
        let now = self.clock.now_ms();
        let open = self.lock();
        for entry in open.connections.values().filter(|entry| entry.connection.is_drained(now)) {
            entry.connection.close();
        }
    }

    /// How many connections have a call in progress.
    pub(super) fn busy(&self) -> usize {
        self.lock().connections.values().filter(|entry| entry.connection.is_busy()).count()
    }

    /// Waits until no connection is left.
    pub(super) async fn emptied(&self) {
        loop {
            // Registered before the look at the list, or a connection that ends in between would
            // never wake it.
            let emptied = self.emptied.notified();
            if self.lock().connections.is_empty() {
                return;
            }
            emptied.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn connections(all: u32, per_address: u32) -> Arc<Connections> {
        Arc::new(Connections::new(ServerLimits {
            max_connections: all,
            max_connections_per_address: per_address,
            ..ServerLimits::default()
        }))
    }

    #[tokio::test]
    async fn the_idlest_connection_makes_room() {
        let connections = connections(2, 2);
        let first = connections.admit(address(1), || false).unwrap();
        let second = connections.admit(address(2), || false).unwrap();
        let call = first.connection.begin_call();
        let _third = connections.admit(address(3), || false).unwrap();
        second.connection.closed().await;
        assert_eq!(connections.lock().connections.len(), 2);
        drop(call);
    }

    #[test]
    fn nobody_makes_room_while_all_are_busy() {
        let connections = connections(1, 1);
        let first = connections.admit(address(1), || false).unwrap();
        let call = first.connection.begin_call();
        assert!(connections.admit(address(2), || false).is_none());
        drop(call);
        assert!(connections.admit(address(2), || false).is_some());
    }

    #[tokio::test]
    async fn an_address_makes_room_for_itself() {
        let connections = connections(10, 1);
        let other = connections.admit(address(1), || false).unwrap();
        let first = connections.admit(address(2), || false).unwrap();
        let _second = connections.admit(address(2), || false).unwrap();
        first.connection.closed().await;
        assert_eq!(connections.lock().per_address.len(), 2);
        drop((other, first));
    }

    #[tokio::test]
    async fn a_list_is_empty_once_all_guards_are_gone() {
        let connections = connections(10, 10);
        let first = connections.admit(address(1), || false).unwrap();
        drop(first);
        connections.emptied().await;
        assert!(connections.lock().per_address.is_empty());
    }
}

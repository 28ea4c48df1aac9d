//! The threads that serve connections: one for each core, with a runtime of its own.
//!
//! A call stays on the thread of its connection, with the connection to its provider, so that no core
//! has to wake another one for it. See decision record 0043.

use std::{
    io,
    net::TcpStream as StdStream,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};

/// The threads that serve connections. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Workers {
    workers: Vec<Worker>,
    /// Closed once every thread has ended.
    running: mpsc::Receiver<()>,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Held once by this, and once for each connection.
    places: Arc<()>,
    /// Ends the thread when it is dropped.
    _stopper: oneshot::Sender<()>,
}

/// A connection's place on a thread, which it holds until it ends.
#[derive(Debug)]
pub(super) struct Place {
    runtime: Handle,
    _held: Arc<()>,
}

impl Workers {
    /// Starts so many threads, else one for each core that the process may use.
    pub(super) fn start(count: Option<u32>) -> io::Result<Self> {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let count = count.map_or_else(cores, |it| usize::try_from(it).unwrap_or(usize::MAX));
        let (runs, running) = mpsc::channel();
        let workers = (0..count).map(|index| Worker::start(index, runs.clone()));
        Ok(Self { workers: workers.collect::<io::Result<_>>()?, running })
    }

    /// A place on the thread with the fewest connections; none where there is no thread.
    pub(super) fn place(&self) -> Option<Place> {
        let worker = self.workers.iter().min_by_key(|it| Arc::strong_count(&it.places))?;
        Some(Place { runtime: worker.runtime.clone(), _held: Arc::clone(&worker.places) })
    }

    /// Ends the threads and what they still do, and waits for them for a time.
    pub(super) fn stop(self, within: Duration) {
        drop(self.workers);
        // Nothing is ever sent: each thread drops its sender as it ends.
        if self.running.recv_timeout(within) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("connections did not end within {within:?}");
        }
    }
}

impl Worker {
    fn start(index: usize, runs: mpsc::Sender<()>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stopper, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name(format!("worker-{index}"));
        thread.spawn(move || run(runtime, stopped, runs))?;
        Ok(Self { runtime: handle, places: Arc::default(), _stopper: stopper })
    }
}

fn run(runtime: Runtime, stopped: oneshot::Receiver<()>, runs: mpsc::Sender<()>) {
    // The sender is dropped, which is an error here.
    drop(runtime.block_on(stopped));
    // Not waited for: a name that a system resolves for a minute does not hold the exit.
    runtime.shutdown_background();
    drop(runs);
}

impl Place {
    /// The socket, with its events on the place's thread from here on.
    pub(super) fn adopt(&self, socket: StdStream) -> io::Result<TcpStream> {
        let _within = self.runtime.enter();
        TcpStream::from_std(socket)
    }

    /// Does the work on the place's thread, and holds the place until it is done.
    pub(super) fn spawn(self, work: impl Future<Output = ()> + Send + 'static) {
        let runtime = self.runtime.clone();
        drop(runtime.spawn(async move {
            work.await;
            drop(self);
        }));
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::{Receiver, Sender, channel};

    use super::*;

    /// Work that tells its thread's name and then waits to be ended.
    fn work() -> (impl Future<Output = ()> + Send + 'static, Receiver<String>, Sender<()>) {
        let (tell, name) = channel();
        let (end, ended) = channel::<()>();
        let work = async move {
            let thread = thread::current();
            tell.send(thread.name().unwrap_or_default().to_owned()).unwrap();
            drop(ended.await);
        };
        (work, name, end)
    }

    async fn place_of_next(workers: &Workers) -> (String, Sender<()>) {
        let (work, name, end) = work();
        workers.place().unwrap().spawn(work);
        (name.await.unwrap(), end)
    }

    #[tokio::test]
    async fn the_thread_with_the_fewest_connections_serves_the_next() {
        let workers = Workers::start(Some(2)).unwrap();
        let (first, end_of_first) = place_of_next(&workers).await;
        let (second, _second) = place_of_next(&workers).await;
        assert_ne!(first, second);

        drop(end_of_first);
        while 1 < Arc::strong_count(&workers.workers[0].places) {
            tokio::task::yield_now().await;
        }
        let (third, _third) = place_of_next(&workers).await;
        assert_eq!(third, first);
    }

    #[tokio::test]
    async fn stopping_drops_what_is_still_served() {
        let workers = Workers::start(Some(1)).unwrap();
        let (_, end) = place_of_next(&workers).await;
        tokio::task::spawn_blocking(|| workers.stop(Duration::from_secs(60))).await.unwrap();
        assert!(end.is_closed());
    }
}

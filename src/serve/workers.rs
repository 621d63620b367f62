use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::analyze;

/// For sessions that are told to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Threads of each worker for what takes long: plans of long texts, names that are looked up.
const BLOCKING_THREADS: usize = 8;

/// What a worker is given: it makes the session on the worker's own thread, so that sockets are
/// registered with the runtime that waits for them, and spawns it there. Whether there is one.
type Job = Box<dyn FnOnce(&mut JoinSet<()>) -> bool + Send>;

/// Threads with a runtime each, among which sessions are dealt out. A session stays on its thread:
/// both its sockets wake the same one, and nothing of it crosses from core to core.
pub(super) struct Workers {
    workers: Vec<Worker>,
    /// Turns true when sessions are to be ended wherever they are.
    end: watch::Sender<bool>,
}

struct Worker {
    jobs: mpsc::UnboundedSender<Job>,
    /// Sessions open on it.
    open: Arc<AtomicUsize>,
    ended: oneshot::Receiver<()>,
}

impl Workers {
    /// Starts so many threads.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let end = watch::Sender::new(false);
        let mut workers = Vec::with_capacity(count);
        for number in 0..count.max(1) {
            let (jobs, received) = mpsc::unbounded_channel();
            let open = Arc::new(AtomicUsize::new(0));
            let (telling, ended) = oneshot::channel();
            let (own, ending) = (Arc::clone(&open), end.subscribe());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .thread_stack_size(analyze::READER_STACK)
                .max_blocking_threads(BLOCKING_THREADS)
                .enable_all()
                .build()?;
            std::thread::Builder::new()
                .name(format!("orgguard-{number}"))
                .stack_size(analyze::READER_STACK)
                .spawn(move || {
                    runtime.block_on(work(received, own, ending));
                    // Nobody may be waiting any more.
                    let _ = telling.send(());
                })?;
            workers.push(Worker { jobs, open, ended });
        }
        Ok(Self { workers, end })
    }

    /// Sessions open on all of them.
    pub(super) fn open(&self) -> usize {
        self.workers.iter().map(|worker| worker.open.load(Ordering::Relaxed)).sum()
    }

    /// Gives a session to the first worker that has room for a few more, or else to the one that has
    /// the fewest; `None` where there is nothing to serve after all.
    pub(super) fn give<F>(&self, make: impl FnOnce() -> Option<F> + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let open = |worker: &&Worker| worker.open.load(Ordering::Relaxed);
        let Some(worker) = self.workers.iter().min_by_key(open) else {
            return;
        };
        worker.open.fetch_add(1, Ordering::Relaxed);
        // A worker ends only after its sender is gone.
        let _ = worker.jobs.send(Box::new(move |sessions| {
            let session = make();
            session.map(|session| sessions.spawn(session)).is_some()
        }));
    }

    /// Waits until all sessions have ended; those that have not in time are told by `stop` to end,
    /// and are ended if they do not. How many those were.
    pub(super) async fn finish(self, patience: Duration, stop: impl FnOnce()) -> usize {
        let opens: Vec<_> = self.workers.iter().map(|worker| Arc::clone(&worker.open)).collect();
        let mut ended: Vec<_> = self
            .workers
            .into_iter()
            .map(|Worker { jobs, open: _, ended }| {
                drop(jobs);
                ended
            })
            .collect();
        let all = async {
            for ended in &mut ended {
                // A worker that is gone without a word has ended too.
                let _ = ended.await;
            }
        };
        tokio::pin!(all);
        if timeout(patience, &mut all).await.is_ok() {
            return 0;
        }
        let left = opens.iter().map(|open| open.load(Ordering::Relaxed)).sum();
        stop();
        if timeout(LAST_WORDS, &mut all).await.is_err() {
            self.end.send_replace(true);
            all.await;
        }
        left
    }
}

/// A worker's life: sessions are taken until no more can come, and served until the last has ended.
async fn work(
    mut jobs: mpsc::UnboundedReceiver<Job>,
    open: Arc<AtomicUsize>,
    mut ending: watch::Receiver<bool>,
) {
    let mut sessions = JoinSet::new();
    let mut more = true;
    while more || !sessions.is_empty() {
        tokio::select! {
            job = jobs.recv(), if more => match job {
                Some(job) => {
                    if !job(&mut sessions) {
                        open.fetch_sub(1, Ordering::Relaxed);
                    }
                }
                None => more = false,
            },
            Some(_) = sessions.join_next() => {
                open.fetch_sub(1, Ordering::Relaxed);
            }
            Ok(_) = ending.wait_for(|end| *end) => {
                sessions.shutdown().await;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sessions_are_dealt_out_waited_for_and_ended_in_the_end() {
        const SESSIONS: usize = 6;
        let workers = Workers::start(2).unwrap();
        let (telling, mut told) = mpsc::unbounded_channel();
        for _ in 0..SESSIONS {
            let telling = telling.clone();
            workers.give(move || {
                Some(async move {
                    let thread = std::thread::current();
                    telling.send(thread.name().map(str::to_owned)).unwrap();
                    std::future::pending::<()>().await;
                })
            });
        }
        let mut threads = Vec::new();
        while threads.len() < SESSIONS {
            threads.push(told.recv().await.unwrap().unwrap());
        }
        let on_first = threads.iter().filter(|name| *name == "orgguard-0").count();
        assert_eq!(on_first, SESSIONS / 2);
        assert_eq!(workers.open(), SESSIONS);
        assert_eq!(workers.finish(Duration::from_millis(10), || {}).await, SESSIONS);
        let workers = Workers::start(1).unwrap();
        workers.give(|| Some(async {}));
        workers.give(|| None::<std::future::Ready<()>>);
        assert_eq!(workers.finish(Duration::from_secs(60), || {}).await, 0);
    }
}

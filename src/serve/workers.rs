use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, error::SendError, unbounded_channel};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::balance::{Balance, Transfer};
use super::scheduling::{RunTime, wait_for_a_turn};
use crate::analyze;
use crate::telemetry::{SessionMoved, Telemetry};
use crate::wire::{Parted, Share, call};

/// For sessions that are told to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Threads of each worker for what takes long: plans of long texts, names that are looked up.
const BLOCKING_THREADS: usize = 8;

/// Between two looks at how busy the threads are.
const LOOK: Duration = Duration::from_millis(100);

/// Sessions of a worker: what comes out of one is either its end or what another goes on with.
type Sessions = JoinSet<Option<Parted>>;

/// It makes the session on the worker's own thread, so that sockets are registered with the runtime
/// that waits for them, and spawns it there. Whether there is one.
type Make = Box<dyn FnOnce(&mut Sessions) -> bool + Send>;

/// What a worker is told.
enum Order {
    /// A session is for it.
    Open(Make),
    /// So many of its sessions at work are to go to the worker of this number.
    Part(Share, usize),
    /// No session is given any more.
    Close,
}

/// Threads with a runtime each, among which sessions are dealt out. At any time a session has one
/// thread: both its sockets wake the same one, and nothing of it is shared between cores.
pub(super) struct Workers {
    workers: Arc<[Worker]>,
    ended: Vec<oneshot::Receiver<()>>,
    /// Turns true when sessions are to be ended wherever they are.
    end: watch::Sender<bool>,
}

struct Worker {
    orders: UnboundedSender<Order>,
    /// Sessions open on it.
    open: AtomicUsize,
    /// Set by its thread, where the kernel says.
    run_time: OnceLock<RunTime>,
}

impl Workers {
    /// Starts so many threads.
    pub(super) fn start(count: usize, telemetry: &Telemetry) -> io::Result<Self> {
        let end = watch::Sender::new(false);
        let mut made = Vec::new();
        let mut workers = Vec::new();
        for _ in 0..count.max(1) {
            let runtime = Builder::new_current_thread()
                .thread_stack_size(analyze::READER_STACK)
                .max_blocking_threads(BLOCKING_THREADS)
                .enable_all()
                .build()?;
            let (orders, received) = unbounded_channel();
            let (open, run_time) = (AtomicUsize::new(0), OnceLock::new());
            workers.push(Worker { orders, open, run_time });
            made.push((runtime, received));
        }
        let workers: Arc<[Worker]> = workers.into();
        let mut ended = Vec::new();
        for (number, (runtime, received)) in made.into_iter().enumerate() {
            let (telling, told) = oneshot::channel();
            ended.push(told);
            let place =
                Place { number, workers: Arc::clone(&workers), telemetry: telemetry.clone() };
            let ending = end.subscribe();
            std::thread::Builder::new()
                .name(format!("orgguard-{number}"))
                .stack_size(analyze::READER_STACK)
                .spawn(move || {
                    wait_for_a_turn();
                    runtime.block_on(place.work(received, ending));
                    // Nobody may be waiting any more.
                    let _ = telling.send(());
                })?;
        }
        Ok(Self { workers, ended, end })
    }

    /// Sessions open on all of them.
    pub(super) fn open(&self) -> usize {
        self.workers.iter().map(|worker| worker.open.load(Ordering::Relaxed)).sum()
    }

    /// Gives a session to the worker that has the fewest; `None` where there is nothing to serve
    /// after all.
    pub(super) fn give<F>(&self, make: impl FnOnce() -> Option<F> + Send + 'static)
    where
        F: Future<Output = Option<Parted>> + Send + 'static,
    {
        let open = |worker: &&Worker| worker.open.load(Ordering::Relaxed);
        if let Some(worker) = self.workers.iter().min_by_key(open) {
            // A worker ends only after it was told to.
            let _ = worker.give(Box::new(move |sessions| {
                let session = make();
                session.map(|session| sessions.spawn(session)).is_some()
            }));
        }
    }

    /// Keeps on having sessions moved to where there is room, and together where one thread is
    /// enough for them.
    pub(super) fn balance(&self) -> impl Future<Output = ()> + Send + use<> {
        let workers = Arc::clone(&self.workers);
        async move {
            if workers.len() < 2 {
                return;
            }
            let mut looks = interval(LOOK);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (mut last, mut before) = (looks.tick().await, None::<Vec<Duration>>);
            let mut balance = Balance::default();
            let mut called = None;
            loop {
                let now = looks.tick().await;
                let ran: Option<Vec<_>> = workers.iter().map(Worker::ran).collect();
                let shares =
                    ran.iter().flatten().zip(before.iter().flatten()).map(|(ran, before)| {
                        ran.saturating_sub(*before).div_duration_f32(now.duration_since(last))
                    });
                let transfer = balance.look(shares.collect());
                (last, before) = (now, ran);
                let from = transfer.as_ref().map(|transfer| transfer.from);
                if let Some(called) = called.filter(|called| Some(*called) != from) {
                    tell(&workers, called, Order::Part(Share::None, called));
                }
                if let Some(Transfer { from, to, share }) = transfer {
                    tell(&workers, from, Order::Part(share, to));
                }
                called = from;
            }
        }
    }

    /// Waits until all sessions have ended; those that have not in time are told by `stop` to end,
    /// and are ended if they do not. How many those were.
    pub(super) async fn finish(mut self, patience: Duration, stop: impl FnOnce()) -> usize {
        for number in 0..self.workers.len() {
            tell(&self.workers, number, Order::Close);
        }
        let mut ended = std::mem::take(&mut self.ended);
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
        let left = self.open();
        stop();
        if timeout(LAST_WORDS, &mut all).await.is_err() {
            self.end.send_replace(true);
            all.await;
        }
        left
    }
}

impl Worker {
    /// CPU time that its thread has used.
    fn ran(&self) -> Option<Duration> {
        self.run_time.get()?.so_far()
    }

    /// Gives it a session, unless it has ended.
    fn give(&self, make: Make) -> Result<(), Make> {
        self.open.fetch_add(1, Ordering::Relaxed);
        match self.orders.send(Order::Open(make)) {
            Err(SendError(Order::Open(make))) => {
                self.open.fetch_sub(1, Ordering::Relaxed);
                Err(make)
            }
            // No other order was sent.
            Err(SendError(Order::Part(..) | Order::Close)) | Ok(()) => Ok(()),
        }
    }

    fn take(&self, make: Make, sessions: &mut Sessions) {
        if !make(sessions) {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn tell(workers: &[Worker], number: usize, order: Order) {
    if let Some(worker) = workers.get(number) {
        // One that has ended has nothing to do any more.
        let _ = worker.orders.send(order);
    }
}

/// Where a worker is, on its own thread.
struct Place {
    number: usize,
    workers: Arc<[Worker]>,
    telemetry: Telemetry,
}

impl Place {
    /// A worker's life: sessions are taken until no more can come, and served until the last has
    /// ended or has gone to another worker.
    async fn work(self, mut orders: UnboundedReceiver<Order>, mut ending: watch::Receiver<bool>) {
        let Some(own) = self.workers.get(self.number) else { return };
        if let Some(here) = RunTime::here() {
            let _ = own.run_time.set(here);
        }
        let mut sessions = Sessions::new();
        let (mut more, mut listens) = (true, true);
        let mut to = self.number;
        while listens || !sessions.is_empty() {
            if !more && sessions.is_empty() {
                // What others have sent until now is still served; from here on they keep it.
                orders.close();
            }
            tokio::select! {
                order = orders.recv(), if listens => match order {
                    Some(Order::Open(make)) => own.take(make, &mut sessions),
                    Some(Order::Part(share, worker)) => {
                        if more {
                            to = worker;
                            call(share);
                        }
                    }
                    Some(Order::Close) => {
                        more = false;
                        call(Share::None);
                    }
                    None => listens = false,
                },
                Some(done) = sessions.join_next() => {
                    own.open.fetch_sub(1, Ordering::Relaxed);
                    if let Ok(Some(parted)) = done
                        && let Err(stays) = self.send(parted, to)
                    {
                        own.open.fetch_add(1, Ordering::Relaxed);
                        own.take(stays, &mut sessions);
                    }
                }
                // Nobody is there any more, or nobody waits any longer.
                _ = ending.wait_for(|end| *end) => {
                    sessions.shutdown().await;
                    return;
                }
            }
        }
    }

    /// Gives a session to another worker, unless that has ended.
    fn send(&self, parted: Parted, to: usize) -> Result<(), Make> {
        let resume: Make = Box::new(|sessions| {
            sessions.spawn(parted.resume());
            true
        });
        match self.workers.get(to) {
            Some(other) => other.give(resume).map(|()| SessionMoved.emit(&self.telemetry)),
            None => Err(resume),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, standard};

    #[tokio::test]
    async fn sessions_are_dealt_out_waited_for_and_ended_in_the_end() {
        const SESSIONS: usize = 6;
        let config = standard(&Overrides::default()).unwrap();
        let telemetry = Telemetry::new(config.mode, config.policy).unwrap();
        let workers = Workers::start(2, &telemetry).unwrap();
        let (telling, mut told) = unbounded_channel();
        for _ in 0..SESSIONS {
            let telling = telling.clone();
            workers.give(move || {
                Some(async move {
                    let thread = std::thread::current();
                    telling.send(thread.name().map(str::to_owned)).unwrap();
                    std::future::pending().await
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
        let workers = Workers::start(1, &telemetry).unwrap();
        workers.give(|| Some(async { None }));
        workers.give(|| None::<std::future::Ready<Option<Parted>>>);
        assert_eq!(workers.finish(Duration::from_secs(60), || {}).await, 0);
    }
}

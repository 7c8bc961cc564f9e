//! A load under way: one thread sends, reads and counts; another decides when.
//!
//! One thread is enough for tens of thousands of requests a second, needs no locks, and takes at most one core from a server on
//! the same machine. The runtime's own timer ticks each millisecond, too coarse for latencies below one: arrivals are timed by a
//! thread that sleeps to the instant and hands them over in batches.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, mpsc::RecvTimeoutError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use http::HeaderValue;
use tokio::{
    sync::{Notify, mpsc, watch},
    task::{LocalSet, spawn_local},
};

use super::{
    client::Client,
    exchange,
    mix::Kind,
    plan::{LoadError, Pace, Plan},
    prompts::Bodies,
    report::Report,
    schedule::{Arrival, Arrivals, Order, Orders, Schedule},
    tally::{Live, Outcome, Tally},
};

/// Arrivals closer together than this are handed over together.
const BATCH: Duration = Duration::from_micros(200);

/// Batches that may wait; beyond, the timing thread waits and arrivals are sent late, which the send lag shows.
const BATCHES: usize = 256;

/// How long a closed loop's connection rests after one could not be made, so as not to spin.
const REST: Duration = Duration::from_millis(20);

/// How much longer than a request's time limit the end of the last ones is awaited.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Run,
    Drain,
    Abort,
}

/// A load under way. Dropping it closes every connection.
#[derive(Debug)]
pub struct Running {
    live: Arc<Live>,
    wish: watch::Sender<Wish>,
    thread: JoinHandle<Result<Report, LoadError>>,
}

impl Running {
    /// Counts so far.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Sends nothing more; what is in flight may end, each within its time limit.
    pub fn stop(&self) {
        self.wish
            .send_if_modified(|wish| std::mem::replace(wish, Wish::Drain) == Wish::Run);
    }

    /// Closes every connection at once; what is in flight counts as left.
    pub fn abort(&self) {
        self.wish.send_replace(Wish::Abort);
    }

    /// Whether [`join`](Self::join) returns at once.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits, blocking, for the load's end.
    ///
    /// # Errors
    ///
    /// When the server lists no model and the plan names none.
    pub fn join(self) -> Result<Report, LoadError> {
        self.thread.join().unwrap_or(Err(LoadError::Panicked))
    }
}

/// Starts a load on a thread of its own. Resolves the target's name, which may block.
///
/// # Errors
///
/// When the plan contradicts itself, leads to another machine without allowing it, or the thread can't be started.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use inferometer_cli::load::{self, Plan, Target};
///
/// let mut plan = Plan::new(Target::default());
/// plan.duration = Some(Duration::from_secs(5));
/// let report = load::start(plan)?.join()?;
/// assert_eq!(report.counts.scheduled, report.counts.sent + report.counts.not_sent);
/// # Ok::<(), load::LoadError>(())
/// ```
pub fn start(plan: Plan) -> Result<Running, LoadError> {
    let addresses = plan.check()?;
    let live = Arc::<Live>::default();
    let (wish, wishes) = watch::channel(Wish::Run);
    let counts = Arc::clone(&live);
    let thread = std::thread::Builder::new()
        .name("load".into())
        .spawn(move || drive(plan, addresses, counts, wishes))
        .map_err(LoadError::Thread)?;
    Ok(Running { live, wish, thread })
}

fn drive(
    mut plan: Plan,
    addresses: Vec<SocketAddr>,
    live: Arc<Live>,
    mut wishes: watch::Receiver<Wish>,
) -> Result<Report, LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LoadError::Thread)?;
    let tasks = LocalSet::new();
    let client = Client::new(&plan.target, addresses);
    let model = match plan.model.take() {
        Some(model) => model,
        None => {
            let limit = plan.timeout;
            let found = tasks.block_on(&runtime, exchange::first_model(&client, limit));
            found.map_err(|reason| LoadError::NoModel {
                target: plan.target.clone(),
                reason,
            })?
        }
    };
    let engine = Rc::new(Engine {
        client,
        bodies: Bodies::new(plan.prompts.clone(), &model),
        tally: RefCell::new(Tally::new()),
        live,
        timeout: plan.timeout,
        in_flight: Cell::new(0),
        rest: Notify::new(),
        start: Instant::now(),
        last_end: Cell::new(Duration::ZERO),
    });
    plan.model = Some(model);
    let interrupted = tasks.block_on(&runtime, async {
        let interrupted = match plan.pace {
            Pace::Open { rate, arrivals } => {
                engine.open_loop(&plan, rate, arrivals, &mut wishes).await?
            }
            Pace::Closed { connections } => {
                engine.closed_loop(&plan, connections, &mut wishes).await
            }
        };
        tokio::select! {
            () = engine.at_rest() => {}
            () = aborted(&mut wishes) => {}
            () = tokio::time::sleep(plan.timeout + GRACE) => {}
        }
        Ok(interrupted)
    })?;
    // Every connection closes here.
    drop(tasks);
    if engine.in_flight.get() > 0 {
        engine.last_end.set(engine.start.elapsed());
        engine.tally.borrow_mut().abandon(&engine.live);
    }
    let tally = engine.tally.borrow();
    Ok(Report::new(
        &plan,
        &tally,
        engine.last_end.get(),
        interrupted,
    ))
}

async fn aborted(wishes: &mut watch::Receiver<Wish>) {
    // An error means that nobody waits for the load any more.
    drop(wishes.wait_for(|&wish| wish == Wish::Abort).await);
}

async fn stopped(wishes: &mut watch::Receiver<Wish>) {
    drop(wishes.wait_for(|&wish| wish != Wish::Run).await);
}

/// What the tasks of a load share; all of them run on one thread.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) client: Client,
    pub(crate) bodies: Bodies,
    pub(crate) tally: RefCell<Tally>,
    live: Arc<Live>,
    timeout: Duration,
    in_flight: Cell<usize>,
    /// Told when nothing is in flight any more.
    rest: Notify,
    start: Instant,
    /// From the start to the latest end of a request.
    last_end: Cell<Duration>,
}

impl Engine {
    /// Sends by the clock; returns whether it was stopped early.
    async fn open_loop(
        self: &Rc<Self>,
        plan: &Plan,
        rate: f64,
        arrivals: Arrivals,
        wishes: &mut watch::Receiver<Wish>,
    ) -> Result<bool, LoadError> {
        let (batches, mut arriving) = mpsc::channel(BATCHES);
        let (going, gone) = std::sync::mpsc::channel::<()>();
        let pacer = Pacer {
            start: self.start,
            end: plan.duration.unwrap_or(Duration::MAX),
            schedule: Schedule::new(plan.seed, arrivals, rate),
            orders: Orders::new(plan.seed, plan.mix, &plan.prompts, plan.sessions),
            gone,
        };
        let timing = std::thread::Builder::new()
            .name("load-schedule".into())
            .spawn(move || pacer.run(&batches))
            .map_err(LoadError::Thread)?;
        let interrupted = loop {
            tokio::select! {
                biased;
                () = stopped(wishes) => break true,
                batch = arriving.recv() => match batch {
                    Some(batch) => self.dispatch(&batch, plan.max_in_flight),
                    None => break false,
                },
            }
        };
        drop(going);
        // What had arrived before the stop is sent still: it is part of the schedule.
        arriving.close();
        while let Some(batch) = arriving.recv().await {
            self.dispatch(&batch, plan.max_in_flight);
        }
        timing.join().map_err(|_| LoadError::Panicked)?;
        Ok(interrupted)
    }

    fn dispatch(self: &Rc<Self>, batch: &[Arrival], max_in_flight: usize) {
        for arrival in batch {
            if self.in_flight.get() < max_in_flight {
                // The task counts itself in only when it runs: count here, where the limit is checked.
                self.in_flight.set(self.in_flight.get() + 1);
                let scheduled = self.start + arrival.at;
                let (engine, order) = (Rc::clone(self), arrival.order);
                self.tally
                    .borrow_mut()
                    .send(order.kind, scheduled.elapsed(), &self.live);
                spawn_local(async move {
                    engine.request(order, scheduled).await;
                });
            } else {
                self.tally.borrow_mut().skip(arrival.order.kind, &self.live);
            }
        }
    }

    /// Sends when answered; returns whether it was stopped early.
    async fn closed_loop(
        self: &Rc<Self>,
        plan: &Plan,
        connections: usize,
        wishes: &mut watch::Receiver<Wish>,
    ) -> bool {
        let orders = Orders::new(plan.seed, plan.mix, &plan.prompts, plan.sessions);
        let orders = Rc::new(RefCell::new(orders));
        let over = Rc::new(Cell::new(false));
        for _ in 0..connections {
            let (engine, orders, over) = (Rc::clone(self), Rc::clone(&orders), Rc::clone(&over));
            spawn_local(async move {
                while !over.get() {
                    let order = orders.borrow_mut().next();
                    engine.in_flight.set(engine.in_flight.get() + 1);
                    engine
                        .tally
                        .borrow_mut()
                        .send(order.kind, Duration::ZERO, &engine.live);
                    if engine.request(order, Instant::now()).await == Outcome::Connection {
                        tokio::time::sleep(REST).await;
                    }
                }
            });
        }
        let interrupted = tokio::select! {
            () = stopped(wishes) => true,
            () = tokio::time::sleep(plan.duration.unwrap_or(Duration::MAX)) => false,
        };
        over.set(true);
        interrupted
    }

    /// One request that is already counted as sent, to its end.
    async fn request(&self, order: Order, scheduled: Instant) -> Outcome {
        let leaves = order.kind == Kind::Leave && order.patience < self.timeout;
        let limit = if leaves { order.patience } else { self.timeout };
        let outcome = tokio::time::timeout(limit, exchange::converse(self, order, scheduled))
            .await
            .unwrap_or(if leaves {
                Outcome::Left
            } else {
                Outcome::Timeout
            });
        let took = scheduled.elapsed();
        self.tally
            .borrow_mut()
            .end(order.kind, outcome, took, &self.live);
        self.last_end.set(self.start.elapsed());
        self.in_flight.set(self.in_flight.get() - 1);
        if self.in_flight.get() == 0 {
            self.rest.notify_waiters();
        }
        outcome
    }

    async fn at_rest(&self) {
        loop {
            let told = self.rest.notified();
            if self.in_flight.get() == 0 {
                return;
            }
            told.await;
        }
    }

    pub(crate) fn session(number: u32) -> HeaderValue {
        HeaderValue::from_str(&format!("load-{number}"))
            .expect("letters and digits are a valid header")
    }
}

/// The thread that decides when.
struct Pacer {
    start: Instant,
    end: Duration,
    schedule: Schedule,
    orders: Orders,
    /// Disconnected when the load is over.
    gone: std::sync::mpsc::Receiver<()>,
}

impl Pacer {
    fn run(mut self, batches: &mpsc::Sender<Vec<Arrival>>) {
        let mut batch = Vec::new();
        let end = self.end;
        let mut instants = self.schedule.by_ref().take_while(|&at| at < end).peekable();
        while let Some(&next) = instants.peek() {
            let now = self.start.elapsed();
            if next > now {
                let pause = (next - now).max(BATCH);
                if self.gone.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
                continue;
            }
            while let Some(at) = instants.next_if(|&at| at <= now) {
                batch.push(Arrival {
                    at,
                    order: self.orders.next(),
                });
            }
            if batches.blocking_send(std::mem::take(&mut batch)).is_err() {
                return;
            }
        }
    }
}

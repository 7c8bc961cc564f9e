//! Who is connected, and who goes when there are too many.
//!
//! There are two rooms: **newcomers**, which were not answered yet, and the **known**, which were and are kept for their next
//! request. Each has its own bound, and where a room is full, the connection in it that has gone longest without progress is
//! displaced. Progress is a whole request, or bytes of an answer taken. A scrape makes progress within milliseconds, so a crowd
//! that says nothing displaces itself; and a scraper that keeps its connection is in a room that the crowd doesn't reach.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::Waker,
};

use tokio::{sync::Notify, time::Instant};

use crate::problem::Refusal;

/// Every connection.
#[derive(Debug)]
pub(crate) struct Crowd {
    rooms: Mutex<Rooms>,
    empty: Notify,
}

#[derive(Debug)]
struct Rooms {
    /// Counts progress: a seat with a lower number has gone longer without.
    clock: u64,
    newcomers: Room,
    known: Room,
}

#[derive(Debug)]
struct Room {
    most: usize,
    seats: BTreeMap<u64, Arc<Seat>>,
}

impl Room {
    fn new(most: usize) -> Self {
        Self {
            most,
            seats: BTreeMap::new(),
        }
    }

    /// Adds a seat; returns the one that has to go.
    fn seat(&mut self, stamp: u64, seat: Arc<Seat>) -> Option<Arc<Seat>> {
        seat.stamp.store(stamp, Relaxed);
        self.seats.insert(stamp, seat);
        if self.seats.len() <= self.most {
            return None;
        }
        self.seats.pop_first().map(|(_, seat)| seat)
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Seat {
    client: IpAddr,
    /// Where it is in its room; changed with the rooms locked.
    stamp: AtomicU64,
    known: AtomicBool,
    /// Requests that arrived so far.
    begun: AtomicU64,
    /// Those whose answer is not yet taken, by their number, and when they arrived.
    underway: Mutex<BTreeMap<u64, Instant>>,
    /// The gate, which waits for answers to be taken.
    gate: Mutex<Option<Waker>>,
    /// Why it has to go.
    sentence: Mutex<Option<Refusal>>,
    dismissed: Notify,
}

impl Seat {
    pub(crate) fn client(&self) -> IpAddr {
        self.client
    }

    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Relaxed)
    }

    pub(crate) fn answering(&self) -> usize {
        self.underway().len()
    }

    /// When the oldest request arrived whose answer is not yet taken.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.underway().values().next().copied()
    }

    /// Wakes `gate` when an answer is taken. To be called before looking, so that none is missed.
    pub(crate) fn wake(&self, gate: &Waker) {
        let mut waiting = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *waiting {
            Some(waiting) => waiting.clone_from(gate),
            None => *waiting = Some(gate.clone()),
        }
    }

    fn underway(&self) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
        self.underway.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has arrived; its answer is taken, or given up, when the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Answering {
        let number = self.begun.fetch_add(1, Relaxed);
        self.underway().insert(number, Instant::now());
        Answering {
            seat: Arc::clone(self),
            number,
        }
    }

    /// Tells the connection to go.
    pub(crate) fn dismiss(&self, why: Refusal) {
        let mut sentence = self.sentence.lock().unwrap_or_else(PoisonError::into_inner);
        sentence.get_or_insert(why);
        self.dismissed.notify_one();
    }

    /// Returns when the connection has to go, and why.
    pub(crate) async fn dismissed(&self) -> Refusal {
        loop {
            let sentence = *self.sentence.lock().unwrap_or_else(PoisonError::into_inner);
            match sentence {
                Some(why) => return why,
                None => self.dismissed.notified().await,
            }
        }
    }
}

/// A request whose answer is not yet taken.
#[derive(Debug)]
pub(crate) struct Answering {
    seat: Arc<Seat>,
    number: u64,
}

impl Answering {
    pub(crate) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.seat.underway().remove(&self.number);
        let gate = self.seat.gate.lock();
        if let Some(gate) = gate.unwrap_or_else(PoisonError::into_inner).take() {
            gate.wake();
        }
    }
}

impl Crowd {
    pub(crate) fn new(newcomers: usize, known: usize) -> Self {
        Self {
            rooms: Mutex::new(Rooms {
                clock: 0,
                newcomers: Room::new(newcomers),
                known: Room::new(known),
            }),
            empty: Notify::new(),
        }
    }

    /// Gives a new connection its seat, another's if need be.
    pub(crate) fn admit(&self, client: IpAddr) -> Arc<Seat> {
        let seat = Arc::new(Seat {
            client,
            stamp: AtomicU64::new(0),
            known: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            underway: Mutex::default(),
            gate: Mutex::new(None),
            sentence: Mutex::new(None),
            dismissed: Notify::new(),
        });
        let mut rooms = self.rooms();
        rooms.clock += 1;
        let stamp = rooms.clock;
        let displaced = rooms.newcomers.seat(stamp, Arc::clone(&seat));
        drop(rooms);
        dismiss(displaced);
        seat
    }

    /// The connection has made progress.
    pub(crate) fn progressed(&self, seat: &Arc<Seat>) {
        self.reseat(seat, seat.known.load(Relaxed));
    }

    /// The connection has taken an answer, and stays.
    pub(crate) fn answered(&self, seat: &Arc<Seat>) {
        self.reseat(seat, true);
    }

    fn reseat(&self, seat: &Arc<Seat>, known: bool) {
        let mut rooms = self.rooms();
        if rooms.leave(seat).is_none() {
            // Displaced meanwhile.
            return;
        }
        rooms.clock += 1;
        let stamp = rooms.clock;
        seat.known.store(known, Relaxed);
        let displaced = rooms.of(known).seat(stamp, Arc::clone(seat));
        drop(rooms);
        dismiss(displaced);
    }

    /// The connection is closed.
    pub(crate) fn left(&self, seat: &Seat) {
        let mut rooms = self.rooms();
        rooms.leave(seat);
        let empty = rooms.seats().next().is_none();
        drop(rooms);
        if empty {
            self.empty.notify_waiters();
        }
    }

    /// Frees a seat of a newcomer: there are no more descriptors. `false` when there is none.
    pub(crate) fn displace_one(&self) -> bool {
        let displaced = self.rooms().newcomers.seats.pop_first();
        let found = displaced.is_some();
        dismiss(displaced.map(|(_, seat)| seat));
        found
    }

    /// Returns when nobody is connected.
    pub(crate) async fn empty(&self) {
        loop {
            let empty = self.empty.notified();
            tokio::pin!(empty);
            // Before looking: else the last one could leave in between, and nobody would tell.
            empty.as_mut().enable();
            if self.rooms().seats().next().is_none() {
                return;
            }
            empty.await;
        }
    }

    /// How many are connected, and the clients of those that are being answered.
    pub(crate) fn waiting(&self) -> (usize, Vec<IpAddr>) {
        let rooms = self.rooms();
        let answering = |seat: &&Arc<Seat>| seat.answering() > 0;
        let clients = rooms.seats().filter(answering).map(|seat| seat.client);
        (rooms.seats().count(), clients.collect())
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rooms {
    fn of(&mut self, known: bool) -> &mut Room {
        if known {
            &mut self.known
        } else {
            &mut self.newcomers
        }
    }

    fn leave(&mut self, seat: &Seat) -> Option<Arc<Seat>> {
        let stamp = seat.stamp.load(Relaxed);
        let known = seat.known.load(Relaxed);
        self.of(known).seats.remove(&stamp)
    }

    fn seats(&self) -> impl Iterator<Item = &Arc<Seat>> {
        let known = self.known.seats.values();
        self.newcomers.seats.values().chain(known)
    }
}

fn dismiss(displaced: Option<Arc<Seat>>) {
    if let Some(seat) = displaced {
        seat.dismiss(Refusal::Displaced);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn gone(seat: &Seat) -> bool {
        seat.sentence.lock().unwrap().is_some()
    }

    #[test]
    fn newcomer_displaces_the_one_longest_without_progress() {
        let crowd = Crowd::new(2, 2);
        let admit = || crowd.admit(Ipv4Addr::LOCALHOST.into());
        let (one, two) = (admit(), admit());
        crowd.progressed(&one);
        let three = admit();
        assert!(!gone(&one) && gone(&two) && !gone(&three));
        crowd.progressed(&two);
        assert_eq!(
            crowd.waiting().0,
            2,
            "who was displaced has no seat any more"
        );
    }

    #[test]
    fn crowd_of_newcomers_never_reaches_the_known() {
        let crowd = Crowd::new(2, 2);
        let admit = || crowd.admit(Ipv4Addr::LOCALHOST.into());
        let scraper = admit();
        crowd.answered(&scraper);
        for _ in 0..100 {
            admit();
        }
        assert!(!gone(&scraper));
        crowd.progressed(&scraper);
        for _ in 0..2 {
            crowd.answered(&admit());
        }
        assert!(gone(&scraper), "only others that are known push it out");
    }

    #[test]
    fn answers_under_way_are_counted() {
        let crowd = Crowd::new(2, 2);
        let seat = crowd.admit(Ipv4Addr::LOCALHOST.into());
        let (one, two) = (seat.begin(), seat.begin());
        drop(one);
        assert_eq!((seat.begun(), seat.answering()), (2, 1));
        assert_eq!(crowd.waiting().1.len(), 1);
        drop(two);
        crowd.left(&seat);
        assert_eq!(crowd.waiting(), (0, Vec::new()));
    }
}

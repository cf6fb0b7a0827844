//! All states of a small cluster, and which one comes of what.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, RwLock};

use shoal_types::Incarnation;
use stateright::{Model, Property};

use crate::history::History;
use crate::host::Host;
use crate::letter::{Letter, Mail, News};
use crate::print::Printed;
use crate::turn::{Event, Input, Turn, take_turn};
use crate::{Action, Bounds, Driver, Network, Promise, Sight};

/// Hosts of every world.
pub(crate) const HOSTS: usize = 3;

/// A world to be searched.
///
/// What a turn of a host comes to depends on the host and its input alone, and the same ones meet in
/// very many states: each is computed once and remembered.
pub struct SmallWorld {
    bounds: Bounds,
    first: World,
    turns: RwLock<HashMap<(u64, Input), Arc<Turn>>>,
    /// Equal hosts are one in memory.
    hosts: RwLock<HashMap<u64, Arc<Printed<Host>>>>,
}

/// One state of a world. Cloning copies pointers.
#[derive(Clone, Debug)]
pub struct World {
    hosts: [Arc<Printed<Host>>; HOSTS],
    mail: Mail,
    history: Arc<Printed<History>>,
    left: Left,
}

/// What may still happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Left {
    losses: u8,
    crashes: [u8; HOSTS],
    restarts: [u8; HOSTS],
    breaks: Vec<(usize, usize)>,
    timeouts: [u8; HOSTS],
    leaving: [bool; HOSTS],
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hosts.hash(state);
        self.mail.hash(state);
        self.history.hash(state);
        self.left.hash(state);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        (&self.hosts, &self.mail, &self.history, &self.left)
            == (&other.hosts, &other.mail, &other.history, &other.left)
    }
}

impl World {
    /// True if something of this sort happened on the way here.
    #[must_use]
    pub fn saw(&self, sight: Sight) -> bool {
        self.history.saw(sight)
    }

    /// The first promise that was broken on the way here, with its story.
    #[must_use]
    pub fn broken(&self) -> Option<(Promise, &str)> {
        let broken = self.history.broken();
        broken.map(|(promise, story)| (*promise, story.as_str()))
    }

    fn keeps(&self, promise: Promise) -> bool {
        self.broken().is_none_or(|(broken, _)| broken != promise)
    }

    fn next_news(&self) -> Option<(usize, usize, News)> {
        (0..HOSTS).find_map(|host| {
            let (peer, news) = self.mail.news_for(host).next()?;
            Some((host, peer, news))
        })
    }

    fn next_letter(&self) -> Option<Arc<Printed<Letter>>> {
        let mut letters = (0..HOSTS).flat_map(|to| self.mail.next_for(to, Network::Ordered));
        letters.next().cloned()
    }

    /// A new life of a host connects with those that are up.
    fn connect(&mut self, host: usize, incarnation: Incarnation) {
        for peer in (0..HOSTS).filter(|&peer| peer != host) {
            if let Some(shown) = self.hosts[peer].shown {
                self.mail.tell(peer, host, News::Up(incarnation.0));
                self.mail.tell(host, peer, News::Up(shown.0));
            } else if !self.hosts[peer].is_up() {
                self.mail.tell(host, peer, News::Refused);
            }
        }
    }

    /// Nothing reaches a host that never starts again.
    fn forget_undeliverable(&mut self) {
        for host in 0..HOSTS {
            if !self.hosts[host].is_up() {
                self.mail.forget_news_for(host);
                if self.left.restarts[host] == 0 {
                    self.mail.lose_to(host);
                }
            }
        }
    }
}

impl SmallWorld {
    /// Three hosts that act in the first view and owe each other nothing; what may happen from there. A driver
    /// that breaks its contract does so from there on.
    ///
    /// # Panics
    /// If formation fails.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let host = |h: usize| Arc::new(Printed::new(Host::new(h, bounds.ahead[h])));
        let first = World {
            hosts: std::array::from_fn(host),
            mail: Mail::default(),
            history: Arc::new(Printed::new(History::default())),
            left: Left {
                losses: bounds.losses,
                crashes: bounds.crashes,
                restarts: bounds.restarts,
                breaks: bounds.breaks.clone(),
                timeouts: bounds.timeouts,
                leaving: bounds.leaving,
            },
        };
        let driver = bounds.driver;
        let mut small = Self {
            bounds: Bounds {
                driver: Driver::Honest,
                ..bounds
            },
            first,
            turns: RwLock::default(),
            hosts: RwLock::default(),
        };
        small.first = small.formed(small.first.clone());
        for gone in (0..HOSTS).filter(|&h| small.bounds.gone[h]) {
            small.first = small.crashed(small.first.clone(), gone, 0);
        }
        small.bounds.driver = driver;
        small.turns = RwLock::default();
        small
    }

    /// All hosts are started and formed, and each has heard the others' clocks.
    fn formed(&self, mut world: World) -> World {
        for h in 0..HOSTS {
            world = self.after(world, h, &Input::Start);
            world = self.after(world, h, &Input::Form);
        }
        world = self.settled(world);
        for h in 0..HOSTS {
            world = self.after(world, h, &Input::Timeout);
        }
        world = self.settled(world);
        for host in &world.hosts {
            let engine = host.running().expect("all are up");
            assert!(engine.takes_commands(), "{:?}", engine.status());
        }
        assert!(world.broken().is_none(), "{:?}", world.broken());
        world
    }

    /// Whatever is under way is over.
    fn settled(&self, mut world: World) -> World {
        loop {
            let syncing = (0..HOSTS).find(|&h| world.hosts[h].disk.is_syncing());
            world = if let Some(h) = syncing {
                self.after(world, h, &Input::Synced)
            } else if let Some((host, peer, news)) = world.next_news() {
                world.mail.noticed(host, peer);
                self.after(world, host, &Input::Notice { peer, news })
            } else if let Some(letter) = world.next_letter() {
                world.mail.take_first(letter.from, letter.to);
                self.after(world, letter.to, &Input::Arrival(letter))
            } else {
                return world;
            };
        }
    }

    /// The world after a host's turn.
    fn after(&self, mut world: World, host: usize, input: &Input) -> World {
        let turn = self.turn(&world.hosts[host], input);
        world.hosts[host] = turn.host.clone();
        for letter in &turn.sent {
            world.mail.post(letter.clone(), self.bounds.network);
        }
        if !turn.events.is_empty() {
            let mut history = History::clone(&world.history);
            for event in &turn.events {
                history.take(host, event);
                if let Event::Shown(incarnation) = event {
                    if self.bounds.network == Network::Ordered {
                        world.mail.lose_from(host);
                    }
                    world.connect(host, *incarnation);
                }
            }
            world.history = Arc::new(Printed::new(history));
        }
        world
    }

    fn turn(&self, host: &Arc<Printed<Host>>, input: &Input) -> Arc<Turn> {
        let key = (host.print(), input.clone());
        let known = self.turns.read().expect("no panic while held");
        if let Some(turn) = known.get(&key) {
            return turn.clone();
        }
        drop(known);
        let mut turn = take_turn(host, input, &self.bounds);
        let mut hosts = self.hosts.write().expect("no panic while held");
        let same = hosts.entry(turn.host.print());
        turn.host = same.or_insert(turn.host).clone();
        drop(hosts);
        let turn = Arc::new(turn);
        let mut known = self.turns.write().expect("no panic while held");
        known.insert(key, turn.clone());
        turn
    }

    /// Different hosts that were met: how much of the work was shared.
    pub(crate) fn hosts_met(&self) -> usize {
        self.hosts.read().expect("no panic while held").len()
    }

    fn actions_of(&self, world: &World, h: usize, actions: &mut Vec<Action>) {
        let (host, left) = (&world.hosts[h], &world.left);
        if !host.is_up() {
            if left.restarts[h] > 0 {
                actions.push(Action::Start(h));
            }
            return;
        }
        if left.crashes[h] > 0 {
            let kept = 0..=host.disk.may_be_lost();
            actions.extend(kept.map(|kept| Action::Crash { host: h, kept }));
        }
        let Some(engine) = host.running() else {
            return;
        };
        let letters = world.mail.next_for(h, self.bounds.network);
        actions.extend(letters.clone().cloned().map(Action::Arrive));
        if left.losses > 0 && self.bounds.network == Network::Ordered {
            actions.extend(letters.map(|letter| Action::Lose {
                from: letter.from,
                to: letter.to,
            }));
        }
        let news = world.mail.news_for(h);
        actions.extend(news.map(|(peer, news)| Action::Notice {
            host: h,
            peer,
            news,
        }));
        if host.disk.is_syncing() {
            actions.push(Action::Sync(h));
        }
        if host.batches < self.bounds.batches[h] && engine.takes_commands() {
            actions.push(Action::Submit(h));
        }
        if left.timeouts[h] > 0 && engine.next_timeout().is_some() {
            actions.push(Action::Timeout(h));
        }
        if left.leaving[h] && !engine.is_leaving() {
            actions.push(Action::Leave(h));
        }
        let breaks = left
            .breaks
            .iter()
            .filter(|(host, peer)| *host == h && world.hosts[*peer].shown.is_some());
        actions.extend(breaks.map(|&(host, peer)| Action::Break { host, peer }));
    }

    fn arrived(&self, mut world: World, letter: Arc<Printed<Letter>>) -> Option<World> {
        let (from, to) = (letter.from, letter.to);
        if self.bounds.network == Network::Ordered {
            world.mail.take_first(from, to);
        }
        let next = self.after(world.clone(), to, &Input::Arrival(letter));
        // Nothing but a letter less: the same as one that is lost.
        let changes = self.bounds.network == Network::Ordered || next != world;
        changes.then_some(next)
    }

    fn crashed(&self, mut world: World, host: usize, kept: usize) -> World {
        let was_shown = world.hosts[host].shown.is_some();
        world = self.after(world, host, &Input::Crash { kept });
        if self.bounds.network == Network::Ordered {
            world.mail.lose_to(host);
        }
        for peer in (0..HOSTS).filter(|&peer| peer != host && was_shown) {
            world.mail.tell(peer, host, News::Refused);
        }
        world
    }

    fn broke(&self, mut world: World, host: usize, peer: usize) -> World {
        world.left.breaks.retain(|link| *link != (host, peer));
        world = self.after(world, host, &Input::Break { peer });
        let shown = world.hosts[peer].shown.expect("it is up");
        world.mail.tell(host, peer, News::Up(shown.0));
        world
    }
}

impl Model for SmallWorld {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.first.clone()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for h in 0..HOSTS {
            self.actions_of(world, h, actions);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut world = world.clone();
        let mut next = match action {
            Action::Submit(h) => self.after(world, h, &Input::Submit),
            Action::Arrive(letter) => self.arrived(world, letter)?,
            Action::Lose { from, to } => {
                world.left.losses -= 1;
                world.mail.take_first(from, to);
                world
            }
            Action::Notice { host, peer, news } => {
                world.mail.noticed(host, peer);
                self.after(world, host, &Input::Notice { peer, news })
            }
            Action::Sync(h) => self.after(world, h, &Input::Synced),
            Action::Crash { host, kept } => {
                world.left.crashes[host] -= 1;
                self.crashed(world, host, kept)
            }
            Action::Start(h) => {
                world.left.restarts[h] -= 1;
                self.after(world, h, &Input::Start)
            }
            Action::Break { host, peer } => self.broke(world, host, peer),
            Action::Timeout(h) => {
                world.left.timeouts[h] -= 1;
                self.after(world, h, &Input::Timeout)
            }
            Action::Leave(h) => {
                world.left.leaving[h] = false;
                self.after(world, h, &Input::Leave)
            }
        };
        next.forget_undeliverable();
        Some(next)
    }

    fn within_boundary(&self, world: &World) -> bool {
        world.history.last_view() <= self.bounds.last_view
    }

    fn properties(&self) -> Vec<Property<Self>> {
        type Holds = fn(&SmallWorld, &World) -> bool;
        let keeps = |promise: Promise, holds: Holds| Property::always(promise.name(), holds);
        let sees = |sight: Sight, seen: Holds| Property::sometimes(sight.name(), seen);
        vec![
            keeps(Promise::Agreement, |_, w| w.keeps(Promise::Agreement)),
            keeps(Promise::Growth, |_, w| w.keeps(Promise::Growth)),
            keeps(Promise::Once, |_, w| w.keeps(Promise::Once)),
            keeps(Promise::OneView, |_, w| w.keeps(Promise::OneView)),
            keeps(Promise::Durability, |_, w| w.keeps(Promise::Durability)),
            keeps(Promise::RealTime, |_, w| w.keeps(Promise::RealTime)),
            keeps(Promise::NoPanic, |_, w| w.keeps(Promise::NoPanic)),
            sees(Sight::Answered, |_, w| w.saw(Sight::Answered)),
            sees(Sight::AnsweredLater, |_, w| w.saw(Sight::AnsweredLater)),
            sees(Sight::ViewChanged, |_, w| w.saw(Sight::ViewChanged)),
            sees(Sight::ActsAgain, |_, w| w.saw(Sight::ActsAgain)),
            sees(Sight::CutOff, |_, w| w.saw(Sight::CutOff)),
            sees(Sight::Dropped, |_, w| w.saw(Sight::Dropped)),
        ]
    }
}

//! What is under way between hosts.

use std::sync::Arc;

use shoal_replication::{LinkEvent, Message};

use crate::Network;
use crate::print::Printed;
use crate::world::HOSTS;

/// What one turn of a host had to say to another one. Places are those of the hosts in the world.
#[derive(Clone, Debug)]
pub struct Letter {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) messages: Vec<Message>,
}

/// All that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Mail {
    /// By sender and receiver. In the order of sending, or of fingerprints if the order does not matter.
    letters: [[Vec<Arc<Printed<Letter>>>; HOSTS]; HOSTS],
    /// By who will notice and about whom: what has become of the link. News replaces older news.
    news: [[Option<News>; HOSTS]; HOSTS],
}

/// A host's driver will notice this about its link to another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum News {
    /// It is up, to this life of the peer.
    Up(u64),
    /// Nobody listens there.
    Refused,
}

impl News {
    pub(crate) fn event(self) -> LinkEvent {
        match self {
            Self::Up(incarnation) => LinkEvent::Up {
                incarnation: shoal_types::Incarnation(incarnation),
                assigned: true,
            },
            Self::Refused => LinkEvent::Refused,
        }
    }
}

impl Mail {
    pub(crate) fn post(&mut self, letter: Arc<Printed<Letter>>, network: Network) {
        let link = &mut self.letters[letter.from][letter.to];
        match network {
            Network::Ordered => link.push(letter),
            Network::Free => {
                if let Err(place) = link.binary_search(&letter) {
                    link.insert(place, letter);
                }
            }
        }
    }

    /// What may arrive next at a host.
    pub(crate) fn next_for(
        &self,
        to: usize,
        network: Network,
    ) -> impl Iterator<Item = &Arc<Printed<Letter>>> + Clone {
        let at_once = match network {
            Network::Ordered => 1,
            Network::Free => usize::MAX,
        };
        let links = self.letters.iter().map(move |from| &from[to]);
        links.flat_map(move |link| link.iter().take(at_once))
    }

    /// Takes the first letter of a link out.
    pub(crate) fn take_first(&mut self, from: usize, to: usize) {
        self.letters[from][to].remove(0);
    }

    pub(crate) fn tell(&mut self, host: usize, about: usize, news: News) {
        self.news[host][about] = Some(news);
    }

    pub(crate) fn news_for(&self, host: usize) -> impl Iterator<Item = (usize, News)> {
        let news = self.news[host].iter().enumerate();
        news.filter_map(|(about, news)| Some((about, (*news)?)))
    }

    pub(crate) fn noticed(&mut self, host: usize, about: usize) {
        self.news[host][about] = None;
    }

    /// All that is under way from a host is lost.
    pub(crate) fn lose_from(&mut self, host: usize) {
        self.letters[host] = Default::default();
    }

    /// All that is under way to a host is lost.
    pub(crate) fn lose_to(&mut self, host: usize) {
        for from in &mut self.letters {
            from[host].clear();
        }
    }

    /// There is nobody to notice.
    pub(crate) fn forget_news_for(&mut self, host: usize) {
        self.news[host] = Default::default();
    }
}

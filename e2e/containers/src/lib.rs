//! A whole system of containers on a private network, from the image of `docker/Dockerfile`: a manager,
//! frontends, clusters of hosts. Each container can be killed, paused, cut off, stopped, started again, and
//! started from another image on the same volume. A crate of its own, since the library for Docker is large
//! and nothing else needs it.
//!
//! [`Containers`] is the whole, [`Node`] names one container of it, [`Image`] is what it runs. It is also the
//! driver of [`shoal_harness::Cluster`] for Docker, so that the stories of the end-to-end tests can be told
//! to it. Everything that was made for a test is removed when its [`Containers`] is dropped, also after a
//! failure; images stay.
//!
//! Where no Docker engine answers, [`engine`] says so and tests skip themselves. `E2E_DOCKER` set
//! to `required`, as `.ci/run` does where an engine answers, makes that a failure.

mod container;
mod driver;
mod engine;
mod image;
mod network;
mod node;
mod packets;
mod system;

pub use engine::engine;
pub use image::Image;
pub use node::Node;
pub use system::{Containers, Shape};

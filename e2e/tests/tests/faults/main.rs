//! Faults of machines, networks, disks and clocks, done to real processes: nothing in the program under
//! test knows of them.
//!
//! What a fault takes in milliseconds is measured by the example `fault_pauses`; here the bounds only say
//! that somebody notices the fault and goes on, on whatever machine this runs.

mod clock;
mod damage;
mod disk;
mod machines;
mod network;
mod power;
mod processes;
mod support;
mod upgrade;

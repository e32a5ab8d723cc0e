//! Which CPU a process runs on.
//!
//! A call wakes threads that wait for each other. Whether the scheduler has them on one CPU or on two changes its CPU
//! time threefold on a virtual machine, and for minutes on end; it says nothing about the client. So the clients share
//! one CPU, and the server has another.

/// A process's place on the machine.
pub enum Place {
    Clients,
    Server,
}

/// Binds this process, with the threads that it will have, to its place. Where that cannot be done the scheduler decides.
#[cfg(target_os = "linux")]
pub fn take(place: Place) {
    let allowed = allowed_cpus();
    let cpu = match place {
        Place::Clients => allowed.first(),
        Place::Server => allowed.last(),
    };
    // SAFETY: cpu_set_t is plain data, and the call only reads it.
    unsafe {
        let mut only = std::mem::zeroed();
        cpu.into_iter().for_each(|cpu| libc::CPU_SET(*cpu, &mut only));
        libc::sched_setaffinity(0, size_of_val(&only), &only);
    }
}

#[cfg(target_os = "linux")]
fn allowed_cpus() -> Vec<usize> {
    // SAFETY: cpu_set_t is plain data; the call fills it, or leaves it empty.
    let allowed = unsafe {
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&allowed), &mut allowed);
        allowed
    };
    // SAFETY: every index is within the set.
    (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &allowed) }).collect()
}

#[cfg(not(target_os = "linux"))]
pub fn take(_: Place) {}

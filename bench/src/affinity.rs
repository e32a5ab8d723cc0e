//! Binds processes to CPUs.
//!
//! In a call, threads wake and wait for each other. On a virtual machine the call takes up to three times the CPU time, for
//! minutes, if the scheduler runs them on two CPUs instead of one. That says nothing about the client, so all clients share
//! one CPU, and the server has another.

/// Which CPU a process runs on.
pub enum Role {
    Client,
    Server,
}

/// Binds this thread, and the threads that it starts later, to the CPU of a role. If that fails, the scheduler chooses CPUs.
#[cfg(target_os = "linux")]
pub fn bind(role: Role) {
    let allowed = allowed_cpus();
    let cpu = match role {
        Role::Client => allowed.first(),
        Role::Server => allowed.last(),
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
    // SAFETY: cpu_set_t is plain data, and the call fills it or leaves it empty.
    let allowed = unsafe {
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&allowed), &mut allowed);
        allowed
    };
    // SAFETY: every index is within the set.
    (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &allowed) }).collect()
}

#[cfg(not(target_os = "linux"))]
pub fn bind(_: Role) {}

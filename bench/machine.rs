//! The machine, and what a process has used of it.

use std::fs;

use support::{Failure, Result};

/// Kernel ticks per second in `/proc/PID/stat`: 100 on every Linux that runs Gabion.
const TICKS: f64 = 100.0;

/// One line that says what the figures were made on.
pub fn describe() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = field(&info, "model name").unwrap_or("unknown");
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = field(&memory, "MemTotal")
        .and_then(|text| text.split_whitespace().next())
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    format!("Machine: {cpus} processors ({model}), {} GiB; load {}", kib >> 20, load())
}

/// The load average of the last minute.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Processor seconds that a process has used, in itself and in the kernel.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // "PID (NAME) STATE ...": the name may hold anything. utime and stime are fields 14 and 15.
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let times: Vec<f64> =
        rest.split_whitespace().skip(11).take(2).filter_map(|text| text.parse().ok()).collect();
    Ok(times.iter().sum::<f64>() / TICKS)
}

/// The largest resident memory of a process so far, in MiB.
pub fn peak_mib(pid: u32) -> Result<f64> {
    mib(pid, "VmHWM")
}

/// The resident memory of a process now, in MiB.
pub fn resident_mib(pid: u32) -> Result<f64> {
    mib(pid, "VmRSS")
}

fn mib(pid: u32, name: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let text = field(&status, name).and_then(|text| text.split_whitespace().next());
    let kib: f64 = text.ok_or_else(|| Failure::new(format!("no {name}")))?.parse()?;
    Ok(kib / 1024.0)
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

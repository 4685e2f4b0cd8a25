//! The processes that are measured: this program again, each in one role.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::Error;

/// A process in a role. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts a process in a role. `address` is whom it connects to, if it connects to somebody.
    pub(crate) fn start(
        role: &str,
        address: &str,
        variables: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let mut command = Command::new(std::env::current_exe()?);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("III_")) {
            command.env_remove(name);
        }
        let mut child = command
            .args(["--role", role, address])
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("the output of a process is piped")?;
        Ok(Self { child, output: BufReader::new(output) })
    }

    /// Waits for a line of its output that contains some text.
    pub(crate) fn line(&mut self, text: &str) -> Result<String, Error> {
        let mut line = String::new();
        while self.output.read_line(&mut line)? > 0 {
            if line.contains(text) {
                return Ok(line.trim().to_owned());
            }
            line.clear();
        }
        Err(format!("a process ended without the line `{text}`").into())
    }

    /// Waits for a line that contains some text and ends with an address.
    pub(crate) fn address(&mut self, text: &str) -> Result<SocketAddr, Error> {
        let line = self.line(text)?;
        let address = line.rsplit(['/', ' ']).next().unwrap_or_default();
        Ok(address.parse()?)
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends this process when the one that started it is gone, however that came.
pub(crate) fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}

/// The processor time that processes have used so far; zero where the system does not tell it as Linux does.
pub(crate) fn processor_time(ids: &[u32]) -> Duration {
    // Linux counts in hundredths of a second in this file, whatever the kernel's own tick is.
    const TICK: Duration = Duration::from_millis(10);
    let ticks = |id: &u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name of the program may contain anything, so it is skipped by its closing bracket.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut times = fields.split(' ').skip(11).map(|field| field.parse::<u32>().ok());
        Some(times.next()?? + times.next()??)
    };
    TICK * ids.iter().filter_map(ticks).sum::<u32>()
}

/// The memory that a process has in use, in bytes, where the system tells it as Linux does.
pub(crate) fn memory(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

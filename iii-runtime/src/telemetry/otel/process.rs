//! What the process of a worker costs: memory, processor time, and how late its runtime is ([protocol 10.5](crate::protocol#s10-5)).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use tokio::task::JoinHandle;

use iii_wire::protocol::WorkerId;

/// How often the runtime is asked how late it is.
const PROBE: Duration = Duration::from_secs(1);
/// Figures that were read so shortly before are good enough: all gauges are read one after the other.
const FRESH: Duration = Duration::from_millis(500);

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    /// Bytes in memory.
    Rss,
    /// The share of one processor since the last time, in percent.
    CpuPercent,
    /// Time of the processor in the program, since its start.
    CpuUser,
    /// Time of the processor in the system for it.
    CpuSystem,
    /// How late the runtime was at worst, since the last time.
    Lag,
    /// How long the worker runs.
    Uptime,
}

impl Figure {
    pub(super) const ALL: [Self; 6] =
        [Self::Rss, Self::CpuPercent, Self::CpuUser, Self::CpuSystem, Self::Lag, Self::Uptime];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rss => "iii.worker.memory.rss",
            Self::CpuPercent => "iii.worker.cpu.percent",
            Self::CpuUser => "iii.worker.cpu.user_micros",
            Self::CpuSystem => "iii.worker.cpu.system_micros",
            Self::Lag => "iii.worker.event_loop.lag_ms",
            Self::Uptime => "iii.worker.uptime_seconds",
        }
    }

    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Rss => "By",
            Self::CpuPercent => "%",
            Self::CpuUser | Self::CpuSystem => "us",
            Self::Lag => "ms",
            Self::Uptime => "s",
        }
    }
}

/// The process of one worker.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    began: Instant,
    state: Mutex<State>,
    /// The worst lag since it was read, in microseconds.
    lag: Arc<AtomicU64>,
    probe: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    worker: Option<WorkerId>,
    read: Option<(Instant, Figures)>,
}

/// What the system says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Figures {
    rss: Option<f64>,
    user_micros: Option<f64>,
    system_micros: Option<f64>,
    percent: Option<f64>,
    lag_ms: f64,
}

impl Process {
    /// The process, for a worker of this name. Needs the runtime.
    pub(super) fn new(name: &str) -> Self {
        let lag = Arc::new(AtomicU64::new(0));
        Self {
            name: name.to_owned(),
            began: Instant::now(),
            state: Mutex::default(),
            lag: lag.clone(),
            probe: tokio::spawn(probe(lag)),
        }
    }

    /// The engine knows the worker by another id from now on.
    pub(super) fn connected(&self, worker: WorkerId) {
        self.lock().worker = Some(worker);
    }

    /// Who the figures are of; `None`: the engine does not know the worker yet.
    pub(super) fn attributes(&self) -> Option<[KeyValue; 2]> {
        let worker = self.lock().worker?;
        let id = KeyValue::new("worker.id", worker.to_string());
        Some([id, KeyValue::new("worker.name", self.name.clone())])
    }

    /// A figure; `None`: it is not known here.
    pub(super) fn read(&self, figure: Figure) -> Option<f64> {
        if figure == Figure::Uptime {
            return Some(self.began.elapsed().as_secs_f64());
        }
        let figures = self.figures();
        match figure {
            Figure::Rss => figures.rss,
            Figure::CpuPercent => figures.percent,
            Figure::CpuUser => figures.user_micros,
            Figure::CpuSystem => figures.system_micros,
            Figure::Lag => Some(figures.lag_ms),
            Figure::Uptime => None,
        }
    }

    fn figures(&self) -> Figures {
        let mut state = self.lock();
        let now = Instant::now();
        if let Some((at, figures)) = &state.read
            && now.duration_since(*at) < FRESH
        {
            return *figures;
        }
        let (since, before) = match &state.read {
            Some((at, figures)) => (now.duration_since(*at), figures.cpu()),
            None => (self.began.elapsed(), None),
        };
        let mut figures = of_system();
        if let (Some(before), Some(after)) = (before, figures.cpu()) {
            let elapsed = since.as_secs_f64() * 1e6;
            figures.percent = Some(100.0 * (after - before).max(0.0) / elapsed);
        }
        // A lag of hours is more than anybody tells apart.
        #[allow(clippy::cast_precision_loss)]
        let lag_ms = self.lag.swap(0, Ordering::Relaxed) as f64 / 1e3;
        figures.lag_ms = lag_ms;
        state.read = Some((now, figures));
        figures
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.probe.abort();
    }
}

impl Figures {
    /// Time of the processor altogether.
    fn cpu(&self) -> Option<f64> {
        Some(self.user_micros? + self.system_micros?)
    }
}

/// Notes how much later than asked for the runtime wakes up.
async fn probe(lag: Arc<AtomicU64>) {
    loop {
        let asked = tokio::time::Instant::now() + PROBE;
        tokio::time::sleep_until(asked).await;
        let late = asked.elapsed().as_micros();
        lag.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// What Linux says in `/proc/self/stat`.
#[cfg(target_os = "linux")]
#[allow(clippy::cast_precision_loss)]
fn of_system() -> Figures {
    use procfs::process::Process;

    let Ok(stat) = Process::myself().and_then(|process| process.stat()) else {
        return Figures::default();
    };
    let micros = |ticks: u64| Some(ticks as f64 * 1e6 / procfs::ticks_per_second() as f64);
    Figures {
        rss: Some(stat.rss as f64 * procfs::page_size() as f64),
        user_micros: micros(stat.utime),
        system_micros: micros(stat.stime),
        ..Figures::default()
    }
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
fn of_system() -> Figures {
    Figures::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn figures_are_read_and_belong_to_the_connection_of_the_moment() {
        let process = Process::new("w");
        assert_eq!(process.attributes(), None);
        let worker = WorkerId(uuid::Uuid::new_v4());
        process.connected(worker);
        assert_eq!(process.attributes().unwrap()[0].value, worker.to_string().into());
        assert!(process.read(Figure::Uptime).unwrap() >= 0.0);
        assert_eq!(process.read(Figure::Lag), Some(0.0));
        #[cfg(target_os = "linux")]
        {
            assert!(process.read(Figure::Rss).unwrap() > 1e6);
            assert!(process.read(Figure::CpuUser).is_some());
            assert_eq!(
                process.read(Figure::CpuPercent),
                None,
                "there is nothing to compare with yet"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_is_held_up_is_late() {
        let lag = Arc::new(AtomicU64::new(0));
        let probing = tokio::spawn(probe(lag.clone()));
        tokio::task::yield_now().await;
        tokio::time::advance(PROBE + Duration::from_millis(250)).await;
        tokio::task::yield_now().await;
        let late = lag.load(Ordering::Relaxed);
        assert!((250_000..260_000).contains(&late), "{late}");
        probing.abort();
    }
}

//! Calls from this process to a worker process: through the engine's process, and through a bare relay's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use iii::Running;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::bare::{self, Sending, Socket};
use crate::options::Options;
use crate::orders::{NewOrder, Order};
use crate::process::{Process, processor_time};
use crate::stats::{Comparison, Outcome};
use crate::worker::{self, create};
use crate::{Error, rounds};

/// The least ratio that is good enough with many calls at a time, and with one.
const REQUIRED: (f64, f64) = (0.5, 0.65);

/// Measures calls, many at a time and one at a time.
pub(crate) fn measure(
    options: &Options,
    show: &mut dyn FnMut(Comparison) -> Result<(), Error>,
) -> Result<(), Error> {
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().enable_all().build()?);
    let mut ours = Ours::start(&runtime, NewOrder::of_size(options.size))?;
    let many = (options.in_flight, Some(REQUIRED.0));
    for (sending, runs) in [
        (Sending::Each, vec![many, (1, Some(REQUIRED.1))]),
        (Sending::Together, vec![(options.in_flight, None)]),
    ] {
        let mut relayed = Relayed::start(&runtime, sending, NewOrder::of_size(options.size))?;
        for (in_flight, required) in runs {
            let rounds = rounds(options, |is_ours, time| {
                let ids = if is_ours { ours.ids } else { relayed.ids };
                let before = processor_time(&ids);
                let begin = Instant::now();
                let times = if is_ours {
                    ours.call(in_flight, time)
                } else {
                    relayed.call(in_flight, time)
                }?;
                let wall = begin.elapsed();
                Ok(Outcome::new(times, wall, processor_time(&ids) - before))
            })?;
            let (title, bare) = match sending {
                Sending::Each => (format!("calls, {in_flight} in flight"), "relay"),
                Sending::Together => (format!("calls, {in_flight} in flight"), "tuned"),
            };
            show(Comparison { title, bare, required, rounds })?;
        }
    }
    runtime.block_on(ours.caller.drain())?;
    Ok(())
}

/// Our side: this process, the engine's, and the worker's.
struct Ours {
    runtime: Arc<Runtime>,
    order: NewOrder,
    caller: Running,
    ids: [u32; 3],
    _processes: [Process; 2],
}

impl Ours {
    fn start(runtime: &Arc<Runtime>, order: NewOrder) -> Result<Self, Error> {
        let mut engine = Process::start("engine", "", &[])?;
        let url = format!("ws://{}", engine.address("ready on")?);
        let mut served = Process::start("worker", "", &[("III_URL", &url)])?;
        served.line("is ready")?;
        let caller = runtime.block_on(worker::caller(&url))?;
        let ids = [std::process::id(), engine.id(), served.id()];
        Ok(Self { runtime: runtime.clone(), order, caller, ids, _processes: [served, engine] })
    }

    /// So many tasks, each with one call at a time.
    fn call(&self, in_flight: usize, time: Duration) -> Result<Vec<Duration>, Error> {
        let begin = Instant::now();
        let mut callers = JoinSet::new();
        for _ in 0..in_flight {
            let (client, order) = (self.caller.client(), self.order.clone());
            let calls = async move {
                let mut times = Vec::new();
                while begin.elapsed() < time {
                    let sent = Instant::now();
                    let call = client.call::<create>(order.clone()).namespace(worker::SERVED);
                    let _: Order = call.await?;
                    times.push(sent.elapsed());
                }
                Ok::<_, Error>(times)
            };
            callers.spawn_on(calls, self.runtime.handle());
        }
        self.runtime.block_on(async {
            let mut times = Vec::new();
            while let Some(of_one) = callers.join_next().await {
                times.extend(of_one??);
            }
            Ok(times)
        })
    }
}

/// The bare side: this process, the relay's, and the worker's.
struct Relayed {
    runtime: Arc<Runtime>,
    order: NewOrder,
    sending: Sending,
    socket: Option<Socket>,
    ids: [u32; 3],
    _processes: [Process; 2],
}

impl Relayed {
    fn start(runtime: &Arc<Runtime>, sending: Sending, order: NewOrder) -> Result<Self, Error> {
        let mut relay = Process::start("relay", sending.name(), &[])?;
        let address = relay.address("ready on")?;
        let mut served = Process::start("relayed", &format!("{}@{address}", sending.name()), &[])?;
        served.line("ready")?;
        let socket = Some(runtime.block_on(bare::connect(address, sending))?);
        let ids = [std::process::id(), relay.id(), served.id()];
        let processes = [served, relay];
        Ok(Self { runtime: runtime.clone(), order, sending, socket, ids, _processes: processes })
    }

    /// So many calls at a time from one task.
    fn call(&mut self, in_flight: usize, time: Duration) -> Result<Vec<Duration>, Error> {
        let mut socket = self.socket.take().ok_or("the relay is gone")?;
        let (order, together) = (self.order.clone(), self.sending == Sending::Together);
        // A task, as on our side.
        let (socket, times) = self.runtime.block_on(self.runtime.spawn(async move {
            let times = pipelined(&mut socket, &order, in_flight, time, together).await?;
            Ok::<_, Error>((socket, times))
        }))??;
        self.socket = Some(socket);
        Ok(times)
    }
}

/// Calls in a row. Answers come in the order of the calls, so no ids are needed.
async fn pipelined(
    socket: &mut Socket,
    order: &NewOrder,
    in_flight: usize,
    time: Duration,
    together: bool,
) -> Result<Vec<Duration>, Error> {
    let begin = Instant::now();
    let mut open = VecDeque::new();
    let mut times = Vec::new();
    loop {
        while open.len() < in_flight && begin.elapsed() < time {
            open.push_back(Instant::now());
            socket.feed(Frame::text(serde_json::to_string(order)?)).await?;
            if !together {
                socket.flush().await?;
            }
        }
        let Some(sent) = open.pop_front() else { return Ok(times) };
        let frame = match socket.next().now_or_never() {
            Some(frame) => frame,
            None => {
                socket.flush().await?;
                socket.next().await
            }
        };
        let frame = frame.ok_or("the relay is gone")??;
        let _: Order = serde_json::from_str(frame.to_text()?)?;
        times.push(sent.elapsed());
    }
}

//! The start and the end of what a test runs on: the engine, the worker, and the test's own link.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::faults::Gated;
use super::harness::{Inner, Mode, Stage};
use super::record::Recorder;
use super::{Harness, Published, locked, report};
use crate::app::{App, Prepared, Surroundings};
use crate::catalogue::{Catalogue, Declarations, EndpointMode};
use crate::config::Variables;
use crate::declare::FunctionDescriptor;
use crate::worker::{TriggerIds, WorkerHandle};
use iii_engine::{Engine, HttpFunctionSettings, NamedQueue};
use iii_wire::clock::Clock;
use iii_wire::protocol::{FunctionId, Namespace, Payload};
use iii_wire::transport::Transport;
use iii_wire::transport::ws::WsTransport;
use iii_wire::{BoxError, Error, Result, code};

/// What the set-up of an app does.
pub(super) type SetUp =
    Box<dyn for<'a> FnOnce(&'a mut App) -> BoxFuture<'a, Result<(), BoxError>> + Send>;

/// Gives one value to an app.
pub(super) type Provide = Box<dyn FnOnce(&mut App) + Send>;

/// What is to be started.
pub(super) struct Plan {
    pub(super) functions: Vec<&'static FunctionDescriptor>,
    /// Whether the test has chosen the functions.
    pub(super) only: bool,
    pub(super) set_up: Option<SetUp>,
    pub(super) provided: Vec<Provide>,
    pub(super) queues: Vec<(String, NamedQueue)>,
    /// Which endpoints may be called, if the test says so.
    pub(super) http_functions: Option<HttpFunctionSettings>,
    /// Configurations, which come before the set-up.
    pub(super) configs: Vec<Provide>,
    /// Values of the engine's configuration store.
    pub(super) stored: HashMap<String, Payload>,
}

/// What runs.
pub(super) struct World {
    /// The engine, if it is in this process.
    pub(super) engine: Option<Engine>,
    pub(super) worker: Prepared,
    /// That of the test, and that of the worker.
    links: Mutex<Vec<WorkerHandle>>,
    grace: Duration,
}

impl World {
    /// Tells the worker under test to stop; the link of the test stays.
    pub(super) fn drain(&self) {
        if let Some(worker) = locked(&self.links).last() {
            worker.drain(self.grace);
        }
    }
}

/// What a worker of a test runs in.
fn surroundings(mode: &Mode, clock: &Clock, recorder: &Arc<Recorder>) -> Surroundings {
    Surroundings {
        telemetry: crate::telemetry::Telemetry::default(),
        clock: clock.clone(),
        watch: Some(recorder.clone()),
        trigger_ids: TriggerIds::Steady,
        asks: matches!(mode, Mode::Remote { .. }),
        // Under virtual time there are no sockets: all endpoints are mocked.
        endpoints: match mode {
            Mode::Virtual => EndpointMode::Skip,
            Mode::Real | Mode::Remote { .. } => EndpointMode::Resolve,
        },
        variables: Variables::None,
        stored: HashMap::new(),
    }
}

/// The test as a worker without functions of its own.
pub(super) fn outside(
    namespace: Namespace,
    mode: &Mode,
    clock: &Clock,
    recorder: &Arc<Recorder>,
) -> Prepared {
    let mut app = App::new();
    app.name(format!("the test in {namespace}")).namespace(namespace);
    let (_, resources, configs, settings, extras) = app.into_parts();
    let surroundings = surroundings(mode, clock, recorder);
    let nothing = Catalogue::empty();
    let outside =
        Prepared::without_check(nothing, resources, configs, &settings, extras, surroundings);
    outside.expect("there is no configuration to read")
}

impl Harness {
    /// Starts the worker, the first time.
    pub(super) fn start(&self) {
        let Some(plan) = locked(&self.inner.plan).take() else { return };
        let inner = self.inner.clone();
        tokio::spawn(async move {
            let stage = match started(&inner, plan).await {
                Ok(world) => {
                    let _ = inner.world.set(world);
                    Stage::Started
                }
                Err(error) => Stage::Failed(error.to_string()),
            };
            inner.stage.send_replace(stage);
        });
    }

    /// Ends everything that was started.
    pub(super) async fn stop(&self) {
        let Some(world) = self.inner.world.get() else { return };
        let links = std::mem::take(&mut *locked(&world.links));
        for link in &links {
            link.abort();
        }
        for mut link in links {
            let _ = link.left().await;
        }
        if let Some(engine) = &world.engine {
            engine.stop().await;
        }
    }

    /// Lets the test serve a function that the worker does not declare.
    pub(super) fn serve(&self, id: &FunctionId) {
        let Some(world) = self.inner.world.get() else { return };
        if let Some(message) = world.worker.registrations.mock(id) {
            world.worker.session.send(message);
        }
        if world.worker.catalogue.get(id).is_none() {
            if let Err(error) = mockable(world.engine.as_ref(), id) {
                self.inner.recorder.fail(error.to_string());
                return;
            }
            self.inner.outside.session.bindings().register_function(id);
        }
    }
}

async fn started(inner: &Arc<Inner>, plan: Plan) -> Result<World> {
    // Trigger types do nothing until something is bound to them.
    let mut app = App::of(Declarations::linked_with_functions(plan.functions));
    for config in plan.configs {
        config(&mut app);
    }
    // What the set-up gives does not take their place.
    app.keep_configs();
    if let Some(set_up) = plan.set_up {
        set_up(&mut app).await.map_err(|error| {
            let text = format!("the set-up failed: {}", report::causes(&*error));
            Error::new(code::INTERNAL, text).with_source(error)
        })?;
    }
    for provide in plan.provided {
        provide(&mut app);
    }
    app.namespace(inner.outside.session.namespace().clone());
    let (mut declarations, resources, configs, settings, extras) = app.into_parts();
    if plan.only {
        // A test that chooses functions has the stores that it provides.
        declarations.stream_stores.retain(|store| store.is_provided(&resources));
    }
    let surroundings = Surroundings {
        stored: plan.stored,
        ..surroundings(&inner.mode, &inner.clock, &inner.recorder)
    };
    let worker = Prepared::new(declarations, resources, configs, &settings, extras, surroundings)?;

    let (transport, engine): (Arc<dyn Transport>, _) = match &inner.mode {
        Mode::Remote { url, .. } => (Arc::new(WsTransport::new(url)?), None),
        Mode::Virtual | Mode::Real => {
            let mut builder = Engine::builder();
            settings.engine.iter().for_each(|configure| configure(&mut builder));
            // A test owns its time, opens no sockets, and leaves nothing behind.
            builder.without_listeners().in_memory().clock(inner.clock.clone());
            builder.http_functions(plan.http_functions.or_else(|| settings.http_functions()));
            // What the test says takes the place of what the set-up says.
            for (name, queue) in settings.queues.iter().cloned().chain(plan.queues) {
                builder.queue(name, queue);
            }
            let engine = builder.start().await?;
            note_published(&engine, inner);
            (Arc::new(engine.local()), Some(engine))
        }
    };
    let answered = locked(&inner.recorder.rules).answered();
    for id in &answered {
        worker.registrations.mock(id);
    }
    let (link, _) = worker.connect(Gated::new(transport.clone(), &inner.worker_gate)).await?;
    // The test comes last: a call that it makes finds everything in its place.
    for id in answered.iter().filter(|id| worker.catalogue.get(id).is_none()) {
        mockable(engine.as_ref(), id)?;
        inner.outside.session.bindings().register_function(id);
    }
    let (own, _) = inner.outside.connect(Gated::new(transport, &inner.outside_gate)).await?;
    // What it does at the start may call what the test stands in for.
    worker.begin().await?;
    let grace = settings.grace();
    Ok(World { engine, worker, grace, links: Mutex::new(vec![own, link]) })
}

/// The functions of the engine itself are part of what is tested.
fn mockable(engine: Option<&Engine>, id: &FunctionId) -> Result<()> {
    if engine.is_some_and(|engine| engine.is_built_in(id)) {
        let text = format!(
            "`{id}` is a function of the engine, which cannot be mocked: look at what it did"
        );
        return Err(Error::new(code::INVALID_ARGUMENT, text));
    }
    Ok(())
}

/// Keeps what is published, for the test to look at.
fn note_published(engine: &Engine, inner: &Arc<Inner>) {
    #[derive(serde::Deserialize)]
    struct Input {
        topic: String,
        #[serde(default)]
        data: Payload,
    }
    let inner = Arc::downgrade(inner);
    engine.observe_built_ins(Box::new(move |id, input| {
        let durable = id == "iii::durable::publish";
        if !durable && id != "publish" {
            return;
        }
        if let (Some(inner), Ok(Input { topic, data })) = (inner.upgrade(), input.parse()) {
            let at = inner.clock.now();
            locked(&inner.published).push(Published { topic, data, at, durable });
        }
    }));
}

//! Alerts: rules that compare a metric with a threshold, from time to time, and what happens when it is crossed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::metrics::Metrics;
use super::settings::{AlertAction, AlertOperator, AlertRule};
use crate::broker::{Broker, Request};
use crate::provider::{BuiltIn, to_payload};
use crate::tasks::Tasks;
use iii_wire::sync::lock;

/// How often the rules are looked at.
const EVERY: Duration = Duration::from_secs(10);
/// What is said where there are no rules.
const NO_RULES: &str = "no alert rules are set up";

/// The input of functions that need none.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Nothing {}

/// A rule and how it is.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
struct Alert {
    /// The rule.
    name: String,
    /// Its metric.
    metric: String,
    /// How it is compared.
    operator: AlertOperator,
    /// What with.
    threshold: f64,
    /// The value when it was last looked at; null if there was none.
    value: Option<f64>,
    /// Whether the threshold was crossed then.
    firing: bool,
    /// When the action was last taken, in milliseconds since 1970.
    last_triggered: Option<u64>,
    /// When this was, in milliseconds since 1970.
    timestamp: u64,
}

/// The answer of `engine::alerts::list`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Listed {
    /// The rules that are on, and how they are.
    alerts: Vec<Alert>,
    /// All rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Vec<AlertRule>>,
    /// How many of them fire.
    firing_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    /// When, in milliseconds since 1970.
    timestamp: u64,
}

/// The answer of `engine::alerts::evaluate`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Evaluated {
    /// Whether there was anything to look at.
    evaluated: bool,
    /// The rules whose action was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    triggered_alerts: Option<Vec<Alert>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    /// When, in milliseconds since 1970.
    timestamp: u64,
}

/// What is known of one rule.
#[derive(Default)]
struct State {
    value: Option<f64>,
    firing: bool,
    last_triggered: Option<u64>,
    /// Values of what only grows, with their times, within the window.
    history: VecDeque<(u64, f64)>,
}

/// The rules of one engine, and how they are.
pub(super) struct Alerts {
    broker: Broker,
    metrics: Arc<Metrics>,
    rules: Vec<AlertRule>,
    states: Mutex<Vec<State>>,
    tasks: Tasks,
}

impl Alerts {
    /// Rules, which are looked at from now on. Must be made inside a Tokio runtime if there are any.
    pub(super) fn start(broker: Broker, metrics: Arc<Metrics>, rules: Vec<AlertRule>) -> Arc<Self> {
        let states = Mutex::new(rules.iter().map(|_| State::default()).collect());
        let alerts = Arc::new(Self { broker, metrics, rules, states, tasks: Tasks::default() });
        if alerts.rules.iter().any(|rule| rule.enabled) {
            let looking = alerts.clone();
            // Growth is measured from now on.
            looking.evaluate();
            alerts.tasks.spawn(async move {
                loop {
                    tokio::time::sleep(EVERY).await;
                    looking.evaluate();
                }
            });
        }
        alerts
    }

    /// Ends the looking.
    pub(super) fn stop(&self) {
        self.tasks.abort();
    }

    /// Looks at all rules; gives those whose action was taken.
    fn evaluate(&self) -> Vec<Alert> {
        let now = self.broker.clock().unix_millis();
        let mut triggered = Vec::new();
        let mut states = lock(&self.states);
        for (rule, state) in
            self.rules.iter().zip(states.iter_mut()).filter(|(rule, _)| rule.enabled)
        {
            state.value = self.value_of(rule, state, now);
            state.firing =
                state.value.is_some_and(|value| rule.operator.holds(value, rule.threshold));
            let silent = state.last_triggered.is_some_and(|last| {
                u128::from(now.saturating_sub(last)) < rule.cooldown.as_millis()
            });
            if state.firing && !silent {
                state.last_triggered = Some(now);
                triggered.push((rule, alert(rule, state, now)));
            }
        }
        drop(states);
        triggered
            .into_iter()
            .map(|(rule, alert)| {
                self.act(rule, &alert);
                alert
            })
            .collect()
    }

    /// The value of a rule's metric now.
    fn value_of(&self, rule: &AlertRule, state: &mut State, now: u64) -> Option<f64> {
        let Some((value, grows)) = self.metrics.of_engine(&rule.metric) else {
            return self.metrics.of_workers(&rule.metric, rule.window);
        };
        if !grows {
            return Some(value);
        }
        let window = u64::try_from(rule.window.as_millis()).unwrap_or(u64::MAX);
        // The newest value that is as old as the window is the one to compare with.
        while state.history.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= window) {
            state.history.pop_front();
        }
        state.history.push_back((now, value));
        state.history.front().map(|(_, first)| value - first)
    }

    fn act(&self, rule: &AlertRule, alert: &Alert) {
        match &rule.action {
            AlertAction::Log => {
                let (name, metric, value) = (&alert.name, &alert.metric, alert.value);
                let threshold = alert.threshold;
                tracing::warn!(name, metric, value, threshold, "an alert fires");
            }
            AlertAction::Function { path } => {
                let Ok(data) = to_payload(alert) else { return };
                self.broker.fire(Request {
                    namespace: Default::default(),
                    function_id: path.as_str().into(),
                    data,
                    metadata: None,
                    traceparent: None,
                    baggage: None,
                });
            }
        }
    }

    fn list(&self) -> Listed {
        let now = self.broker.clock().unix_millis();
        let states = lock(&self.states);
        let on = self.rules.iter().zip(states.iter()).filter(|(rule, _)| rule.enabled);
        let alerts: Vec<Alert> = on.map(|(rule, state)| alert(rule, state, now)).collect();
        Listed {
            firing_count: alerts.iter().filter(|alert| alert.firing).count(),
            alerts,
            rules: (!self.rules.is_empty()).then(|| self.rules.clone()),
            message: self.rules.is_empty().then_some(NO_RULES),
            timestamp: now,
        }
    }

    /// The functions that look at alerts.
    pub(super) fn functions(self: &Arc<Self>) -> Vec<BuiltIn> {
        let (list, evaluate) = (self.clone(), self.clone());
        vec![
            BuiltIn::sync(
                "engine::alerts::list",
                "Lists the rules for alerts and how they are.",
                move |_: Nothing, _| Ok(Some(list.list())),
            ),
            BuiltIn::sync(
                "engine::alerts::evaluate",
                "Looks at the rules for alerts now.",
                move |_: Nothing, _| {
                    let timestamp = evaluate.broker.clock().unix_millis();
                    let none = evaluate.rules.is_empty();
                    Ok(Some(Evaluated {
                        evaluated: !none,
                        triggered_alerts: (!none).then(|| evaluate.evaluate()),
                        message: none.then_some(NO_RULES),
                        timestamp,
                    }))
                },
            ),
        ]
    }
}

fn alert(rule: &AlertRule, state: &State, timestamp: u64) -> Alert {
    Alert {
        name: rule.name.clone(),
        metric: rule.metric.clone(),
        operator: rule.operator,
        threshold: rule.threshold,
        value: state.value,
        firing: state.firing,
        last_triggered: state.last_triggered,
        timestamp,
    }
}

//! Alerts: rules that periodically compare a metric with a threshold and run an action when it is crossed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use super::NoInput;
use super::metrics::Metrics;
use super::settings::{AlertAction, AlertOperator, AlertRule};
use crate::broker::{Broker, Request};
use crate::provider::{BuiltIn, to_payload};
use crate::tasks::Tasks;
use iii_wire::sync::lock;

/// How often the rules are evaluated.
const EVALUATION_INTERVAL: Duration = Duration::from_secs(10);
/// The message of an engine without rules.
const NO_RULES: &str = "no alert rules are configured";

/// The state of an alert rule.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
struct AlertStatus {
    /// The name of the rule.
    name: String,
    /// The metric.
    metric: String,
    /// The comparison operator.
    operator: AlertOperator,
    /// The threshold.
    threshold: f64,
    /// The value at the last evaluation; null if there was none.
    value: Option<f64>,
    /// Whether the value crossed the threshold at the last evaluation.
    firing: bool,
    /// The time of the last action, in milliseconds since the Unix epoch.
    last_triggered: Option<u64>,
    /// The time of this status, in milliseconds since the Unix epoch.
    timestamp: u64,
}

/// Output of `engine::alerts::list`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct AlertListOutput {
    /// The state of the enabled rules.
    alerts: Vec<AlertStatus>,
    /// All rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Vec<AlertRule>>,
    /// The number of firing alerts.
    firing_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    /// The current time, in milliseconds since the Unix epoch.
    timestamp: u64,
}

/// Output of `engine::alerts::evaluate`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct AlertEvaluateOutput {
    /// Whether there are rules.
    evaluated: bool,
    /// The alerts whose action ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    triggered_alerts: Option<Vec<AlertStatus>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    /// The current time, in milliseconds since the Unix epoch.
    timestamp: u64,
}

/// The evaluation state of one rule.
#[derive(Default)]
struct RuleState {
    value: Option<f64>,
    firing: bool,
    last_triggered: Option<u64>,
    /// Values of a monotonic metric within the window, with their times.
    history: VecDeque<(u64, f64)>,
}

/// Evaluates the alert rules of one engine.
pub(super) struct Alerts {
    broker: Broker,
    metrics: Arc<Metrics>,
    rules: Vec<AlertRule>,
    states: Mutex<Vec<RuleState>>,
    tasks: Tasks,
}

impl Alerts {
    /// Starts the periodic evaluation of rules. Must be called inside a Tokio runtime if any rule is enabled.
    pub(super) fn start(broker: Broker, metrics: Arc<Metrics>, rules: Vec<AlertRule>) -> Arc<Self> {
        let states = Mutex::new(rules.iter().map(|_| RuleState::default()).collect());
        let alerts = Arc::new(Self { broker, metrics, rules, states, tasks: Tasks::default() });
        if alerts.rules.iter().any(|rule| rule.enabled) {
            let evaluator = alerts.clone();
            // The first evaluation is the baseline of monotonic metrics.
            evaluator.evaluate();
            alerts.tasks.spawn(async move {
                loop {
                    tokio::time::sleep(EVALUATION_INTERVAL).await;
                    evaluator.evaluate();
                }
            });
        }
        alerts
    }

    /// Stops the periodic evaluation.
    pub(super) fn stop(&self) {
        self.tasks.abort();
    }

    /// Evaluates all enabled rules and runs the actions of those that fire outside their cooldown. Returns these.
    fn evaluate(&self) -> Vec<AlertStatus> {
        let now = self.broker.clock().unix_millis();
        let mut triggered = Vec::new();
        let mut states = lock(&self.states);
        for (rule, state) in
            self.rules.iter().zip(states.iter_mut()).filter(|(rule, _)| rule.enabled)
        {
            state.value = self.value_of(rule, state, now);
            state.firing =
                state.value.is_some_and(|value| rule.operator.compare(value, rule.threshold));
            let in_cooldown = state.last_triggered.is_some_and(|last| {
                u128::from(now.saturating_sub(last)) < rule.cooldown.as_millis()
            });
            if state.firing && !in_cooldown {
                state.last_triggered = Some(now);
                triggered.push((rule, AlertStatus::new(rule, state, now)));
            }
        }
        drop(states);
        triggered
            .into_iter()
            .map(|(rule, alert)| {
                self.run_action(rule, &alert);
                alert
            })
            .collect()
    }

    /// Returns the current value of the metric of a rule.
    fn value_of(&self, rule: &AlertRule, state: &mut RuleState, now: u64) -> Option<f64> {
        let Some(metric) = self.metrics.engine_metric(&rule.metric) else {
            return self.metrics.worker_metric(&rule.metric, rule.window);
        };
        if !metric.is_monotonic {
            return Some(metric.value);
        }
        let window = u64::try_from(rule.window.as_millis()).unwrap_or(u64::MAX);
        // The baseline is the newest value that is at least as old as the window.
        while state.history.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= window) {
            state.history.pop_front();
        }
        state.history.push_back((now, metric.value));
        state.history.front().map(|(_, baseline)| metric.value - baseline)
    }

    fn run_action(&self, rule: &AlertRule, alert: &AlertStatus) {
        match &rule.action {
            AlertAction::Log => {
                let (name, metric, value) = (&alert.name, &alert.metric, alert.value);
                let threshold = alert.threshold;
                tracing::warn!(name, metric, value, threshold, "alert firing");
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

    fn list(&self) -> AlertListOutput {
        let now = self.broker.clock().unix_millis();
        let states = lock(&self.states);
        let enabled = self.rules.iter().zip(states.iter()).filter(|(rule, _)| rule.enabled);
        let alerts: Vec<_> =
            enabled.map(|(rule, state)| AlertStatus::new(rule, state, now)).collect();
        AlertListOutput {
            firing_count: alerts.iter().filter(|alert| alert.firing).count(),
            alerts,
            rules: (!self.rules.is_empty()).then(|| self.rules.clone()),
            message: self.rules.is_empty().then_some(NO_RULES),
            timestamp: now,
        }
    }

    /// Creates the functions `engine::alerts::*`.
    pub(super) fn functions(self: &Arc<Self>) -> Vec<BuiltIn> {
        let (list, evaluate) = (self.clone(), self.clone());
        vec![
            BuiltIn::sync(
                "engine::alerts::list",
                "Lists the alert rules with their state.",
                move |_: NoInput, _| Ok(Some(list.list())),
            ),
            BuiltIn::sync(
                "engine::alerts::evaluate",
                "Evaluates the alert rules immediately.",
                move |_: NoInput, _| {
                    let timestamp = evaluate.broker.clock().unix_millis();
                    let no_rules = evaluate.rules.is_empty();
                    Ok(Some(AlertEvaluateOutput {
                        evaluated: !no_rules,
                        triggered_alerts: (!no_rules).then(|| evaluate.evaluate()),
                        message: no_rules.then_some(NO_RULES),
                        timestamp,
                    }))
                },
            ),
        ]
    }
}

impl AlertStatus {
    fn new(rule: &AlertRule, state: &RuleState, timestamp: u64) -> Self {
        Self {
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
}

//! The envelope around the metadata of a trigger, which tells a handler what fired it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::TriggerInfo;
use iii_wire::TriggerKind;
use iii_wire::protocol::{Payload, TriggerId, TriggerTypeId};

/// The metadata with which this crate registers a trigger.
///
/// Engines pass the metadata of a trigger to the handler ([protocol 4.7](crate::protocol#s4-7)). The envelope identifies the trigger; the
/// metadata of the declaration is its `value`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TriggerEnvelope<'a> {
    #[serde(rename = "iii:trigger")]
    trigger: EnvelopeTrigger,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    value: Option<&'a RawValue>,
    /// The number of the attempt, which the engine of this project adds to retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
struct EnvelopeTrigger {
    r#type: TriggerTypeId,
    id: TriggerId,
}

impl TriggerEnvelope<'_> {
    /// Wraps the metadata of a trigger's declaration.
    pub(crate) fn encode(kind: &TriggerKind, id: &TriggerId, value: Option<&Payload>) -> Payload {
        let trigger = EnvelopeTrigger { r#type: kind.as_str().into(), id: id.clone() };
        let envelope =
            TriggerEnvelope { trigger, value: value.map(Payload::as_raw), attempt: None };
        Payload::new(&envelope).unwrap_or_default()
    }

    /// Unwraps the metadata of an invocation. Metadata without an envelope is that of the caller.
    pub(crate) fn decode(metadata: Option<Payload>) -> DecodedMetadata {
        let plain = |value| DecodedMetadata { trigger: None, attempt: None, value };
        let Some(metadata) = metadata else { return plain(None) };
        // A cheap check that avoids parsing most metadata.
        if !metadata.as_str().contains("\"iii:trigger\"") {
            return plain(Some(metadata));
        }
        match metadata.parse_borrowed::<TriggerEnvelope<'_>>() {
            Err(_) => plain(Some(metadata.clone())),
            Ok(envelope) => DecodedMetadata {
                trigger: Some(TriggerInfo {
                    kind: TriggerKind::from(&*envelope.trigger.r#type),
                    id: envelope.trigger.id,
                }),
                attempt: envelope.attempt,
                value: envelope.value.map(|raw| metadata.part(raw)),
            },
        }
    }
}

/// The metadata of an invocation without its envelope.
#[derive(Debug)]
pub(crate) struct DecodedMetadata {
    pub trigger: Option<TriggerInfo>,
    pub attempt: Option<u32>,
    pub value: Option<Payload>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_round_trips_with_the_metadata_of_the_declaration() {
        let own = Payload::from_json(r#"{"owner":"shop"}"#).unwrap();
        let id = TriggerId::from("t-1");
        for value in [None, Some(own)] {
            let envelope = TriggerEnvelope::encode(&TriggerKind::Queue, &id, value.as_ref());
            let decoded = TriggerEnvelope::decode(Some(envelope));
            let trigger = decoded.trigger.unwrap();
            assert_eq!((trigger.kind, trigger.id), (TriggerKind::Queue, id.clone()));
            assert_eq!(decoded.value, value);
        }
    }

    #[test]
    fn metadata_without_an_envelope_is_unchanged() {
        for json in [r#"{"tenant":"acme"}"#, r#"{"iii:trigger":5}"#, "7"] {
            let metadata = Payload::from_json(json.to_owned()).unwrap();
            let decoded = TriggerEnvelope::decode(Some(metadata));
            assert!(decoded.trigger.is_none());
            assert_eq!(decoded.value.unwrap().as_str(), json);
        }
    }
}

//! `iii::import!`: what its types do on the wire, and that a committed file is what the engine tells.

#![deny(warnings)]

use std::collections::BTreeMap;

use iii::prelude::*;
use iii::{Function, catalogue::CatalogueFile};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// All that the official engine tells of itself.
#[allow(dead_code)]
mod engine {
    iii::import!("golden/builtin_functions.json");
}

/// Schemas as workers in other languages write them.
mod forms {
    iii::import!("tests/import/forms.json", timeout = "5s");
}

/// The functions below, as the engine tells them.
mod shop {
    iii::import!("tests/import/warehouse.json", prefix = "warehouse");
}

/// What is read is written as it was.
fn same<T: Serialize + DeserializeOwned>(value: Value) -> T {
    let read: T = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), value);
    // From text too: there JSON is kept as it came.
    let text: T = serde_json::from_str(&value.to_string()).unwrap();
    assert_eq!(serde_json::to_value(&text).unwrap(), value);
    read
}

#[test]
fn each_function_of_the_official_engine_can_be_called() {
    let golden = include_str!("../golden/builtin_functions.json");
    let golden: BTreeMap<String, Value> = serde_json::from_str(golden).unwrap();
    assert_eq!(golden.len(), 68);
    assert_eq!(engine::state::update::ID, "state::update");
    assert_eq!(engine::iii_cron::on_config_change::ID, "iii-cron::on-config-change");
    assert_eq!(engine::publish::NAMESPACE, Some("default"));
    assert!(<engine::publish as iii::Function>::info().is_none());
    let update: engine::state::UpdateInput = same(json!({
        "scope": "orders", "key": "7",
        "ops": [
            {"type": "set", "path": "a", "value": {"any": [1, null]}},
            {"type": "increment", "path": "n", "by": -3},
            {"type": "merge", "value": {"b": 1.5}, "path": ["a", "b"]},
        ],
    }));
    assert_eq!(update.ops.len(), 3);
    let alert: engine::engine::alerts::AlertAction = same(json!({"type": "webhook", "url": "u"}));
    assert!(matches!(alert, engine::engine::alerts::AlertAction::Webhook { .. }));
    let answer: engine::engine::functions::ListOutput =
        serde_json::from_value(json!({"functions": [
            {"function_id": "a::b", "namespace": "default", "worker_name": "w", "description": "d"},
        ]}))
        .unwrap();
    assert_eq!(answer.functions[0].function_id, "a::b");
}

#[test]
fn schemas_of_other_languages_have_types() {
    use forms::zod::{
        PlaceOrderInput, PlaceOrderInputCustomer, PlaceOrderInputLinesItem, PlaceOrderInputPayment,
        PlaceOrderOutput, place_order,
    };
    assert_eq!(place_order::TIMEOUT, Some(std::time::Duration::from_secs(5)));
    let order = json!({
        "customer": {"firstName": "Ada"}, "lines": [{"sku": "tea", "quantity": 1.5}],
        "payment": {"kind": "cash", "change": {"coins": [1, 2]}}, "more": {"kept": true},
        "same": {"firstName": "Bob", "age": 3},
    });
    let read: PlaceOrderInput = same(order);
    assert_eq!(read.additional_properties["more"].as_str(), r#"{"kept":true}"#);
    let built = PlaceOrderInput {
        customer: PlaceOrderInputCustomer { firstName: "Ada".into(), age: None },
        lines: vec![PlaceOrderInputLinesItem { sku: "tea".into(), quantity: 1.5 }],
        payment: PlaceOrderInputPayment::Card { number: "1".into() },
        note: None,
        same: None,
        additional_properties: BTreeMap::new(),
    };
    assert_ne!(read, built);
    let text = json!({
        "customer": {"firstName": "Ada"}, "lines": [{"sku": "tea", "quantity": 1.5}],
        "payment": {"kind": "card", "number": "1"},
    });
    assert_eq!(serde_json::to_value(&built).unwrap(), text);
    assert_eq!(same::<PlaceOrderOutput>(json!("x")), PlaceOrderOutput::Text("x".into()));
    assert_eq!(same::<PlaceOrderOutput>(json!(true)), PlaceOrderOutput::Bool(true));

    use forms::pydantic::{AdoptInput, Adoption, Colour, Pet};
    let adoption: AdoptInput = same(json!({
        "pet": {"pet": "dog", "friends": [{"pet": {"pet": "cat", "lives": 9}, "where": [0.5, 1.0]}]},
        "where": [1.0, 2.0], "collar": "light-blue", "extra": {"a": [1]},
    }));
    assert_eq!(adoption.collar, Some(Colour::LightBlue));
    assert_eq!(same::<Colour>(json!("")), Colour::Value);
    let Pet::Dog { friends: Some(friends) } = &adoption.pet else { panic!("{adoption:?}") };
    let friend: &Adoption = &friends[0];
    assert_eq!((friend.r#where, friend.collar), ((0.5, 1.0), None));
    assert_eq!(forms::plain::NAMESPACE, Some("shop"));
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
enum Size {
    Small,
    /// Two can carry it.
    Large,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Packing {
    Loose,
    OnPallet {
        count: u32,
        #[serde(default)]
        label: Option<String>,
    },
    Special(Special),
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Special {
    any: Value,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
enum Content {
    Empty,
    Liquid(f64),
    Items(Vec<String>),
    Mixed { liquid: f32, parts: BTreeMap<String, u8> },
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Reference {
    Number(u64),
    Code(String),
    Place { shelf: String, level: i8 },
}

/// What goes into the warehouse.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct NewParcel {
    /// What it is.
    sku: String,
    r#type: Size,
    #[serde(rename = "packed-as")]
    packing: Packing,
    content: Content,
    reference: Option<Reference>,
    position: (f64, String),
    colour: [u8; 3],
    labels: BTreeMap<String, Vec<String>>,
    by_day: BTreeMap<u32, bool>,
    #[serde(default)]
    fragile: bool,
    data: Payload,
}

/// What is in the warehouse.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Parcel {
    id: u64,
    new: NewParcel,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Tree {
    name: String,
    branches: Vec<Tree>,
    root: Option<Box<Tree>>,
}

/// Stores a parcel.
#[iii::function(id = "warehouse::store", metadata = json!({"team": "shelves"}))]
async fn store(new: NewParcel) -> Parcel {
    Parcel { id: 7, new }
}

#[iii::function(id = "warehouse::find-all")]
async fn find_all(skus: Vec<String>) -> Vec<Parcel> {
    drop(skus);
    Vec::new()
}

#[iii::function(id = "warehouse::trees::grow")]
async fn grow(tree: Tree) -> Tree {
    Tree { name: format!("{}!", tree.name), root: Some(Box::new(tree)), branches: Vec::new() }
}

#[iii::function(id = "warehouse::ping")]
async fn ping() {}

/// Calls a function of another worker, of which only the file is here.
#[iii::function(id = "buyer::buy")]
async fn buy(sku: String, client: Client) -> iii::Result<u64> {
    Ok(client.call::<shop::warehouse::store>(parcel(&sku)).await?.id)
}

fn parcel(sku: &str) -> shop::warehouse::StoreInput {
    use shop::warehouse::{Content, Packing, Reference, ReferenceObject, Size, StoreInput};
    StoreInput {
        sku: sku.to_owned(),
        r#type: Size::Large,
        packed_as: Packing::OnPallet { count: 2, label: None },
        content: Content::Mixed { liquid: 0.5, parts: [("a".to_owned(), 1)].into() },
        reference: Some(Reference::Object(ReferenceObject { level: -1, shelf: "s".into() })),
        position: (1.0, "left".into()),
        colour: [1, 2, 3],
        labels: [("to".to_owned(), vec!["Ada".to_owned()])].into(),
        by_day: [("3".to_owned(), true)].into(),
        fragile: None,
        data: Payload::from_json(r#"{"any":[1,"x"]}"#).unwrap(),
    }
}

#[iii::test(only(store, find_all, grow, ping))]
async fn a_committed_file_is_what_the_engine_tells(iii: Harness) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/import/warehouse.json");
    let now = iii.client().catalogue_file().prefix("warehouse").await.unwrap();
    if std::env::var_os("UPDATE_CATALOGUE").is_some() {
        std::fs::write(path, now.to_json()).unwrap();
    }
    let text = std::fs::read_to_string(path).unwrap();
    let committed = CatalogueFile::parse(&text).unwrap();
    let hint = "the declarations have changed: run this test with UPDATE_CATALOGUE=1, and look at the difference";
    assert_eq!(committed.differences(&now), [], "{hint}");
    assert_eq!(text, now.to_json(), "{hint}");
    assert_eq!(now.functions().len(), 4);
    let again = iii.client().catalogue_file().same_selection_as(&committed).await.unwrap();
    assert_eq!(again, now);
}

#[iii::test(only(store, find_all, grow, ping))]
async fn imported_types_call_the_functions_themselves(iii: Harness) {
    use shop::warehouse::{self, Content, Packing, Reference};
    let sent = parcel("tea");
    let stored = iii.call::<warehouse::store>(sent.clone()).await.unwrap();
    assert_eq!(stored.id, 7);
    assert_eq!(stored.new.sku, "tea");
    assert_eq!(stored.new.fragile, Some(false), "the function fills it in");
    assert_eq!((stored.new.packed_as, stored.new.content), (sent.packed_as, sent.content));
    for (packing, content, reference) in [
        (Packing::Loose, Content::Empty, Some(Reference::Integer(3))),
        (
            Packing::Special { any: Payload::from_json("[true]").unwrap() },
            Content::Items(vec!["x".into()]),
            Some(Reference::Text("c".into())),
        ),
        (Packing::OnPallet { count: 1, label: Some("l".into()) }, Content::Liquid(2.5), None),
    ] {
        let mut sent = parcel("tea");
        (sent.packed_as, sent.content, sent.reference) = (packing, content, reference);
        sent.fragile = Some(true);
        let stored = iii.call::<warehouse::store>(sent.clone()).await.unwrap();
        assert_eq!(stored.new, sent);
    }
    let found = iii.call::<warehouse::find_all>(vec!["tea".into()]).await.unwrap();
    assert_eq!(found, []);
    let tree = warehouse::trees::GrowInput { name: "oak".into(), branches: Vec::new(), root: None };
    let grown = iii.call::<warehouse::trees::grow>(tree).await.unwrap();
    assert_eq!((grown.name.as_str(), grown.root.unwrap().name.as_str()), ("oak!", "oak"));
    iii.call::<warehouse::ping>(Payload::null()).await.unwrap();
}

#[iii::test(only(buy))]
async fn an_imported_function_is_mocked(iii: Harness) {
    use shop::warehouse::{StoreOutput, store};
    iii.mock::<store>(|new| Ok(StoreOutput { id: new.sku.len() as u64, new }));
    assert_eq!(iii.call::<buy>("coffee".into()).await.unwrap(), 6);
    let calls = iii.calls::<store>().await;
    assert_eq!((calls.len(), calls[0].input()), (1, parcel("coffee")));
}

#[iii::test(only(store, ping, buy))]
async fn a_catalogue_has_what_it_is_asked_for(iii: Harness) {
    let client = iii.client();
    let ids = |file: CatalogueFile| -> Vec<String> {
        file.functions().iter().map(|one| one.function_id.to_string()).collect()
    };
    let own = ["buyer::buy", "warehouse::ping", "warehouse::store"];
    assert_eq!(ids(client.catalogue_file().await.unwrap()), own);
    assert_eq!(ids(client.catalogue_file().namespace("default").await.unwrap()), own);
    assert_eq!(ids(client.catalogue_file().namespace("other").await.unwrap()), [""; 0]);
    assert_eq!(ids(client.catalogue_file().prefix("ware").await.unwrap()), [""; 0]);
    assert_eq!(ids(client.catalogue_file().prefix("warehouse::store").await.unwrap()), own[2..]);
    let all = ids(client.catalogue_file().include_builtin().await.unwrap());
    assert!(all.len() > 50, "more than can be asked about at once: {all:?}");
    for id in ["engine::functions::list", "state::get", "publish", "buyer::buy"] {
        assert!(all.contains(&id.to_owned()), "{id}: {all:?}");
    }
    let file = client.catalogue_file().prefix("warehouse::store").await.unwrap();
    let store = &file.functions()[0];
    assert_eq!(store.description.as_deref(), Some("Stores a parcel."));
    assert_eq!(store.metadata.as_ref().unwrap()["team"], "shelves");
    assert_eq!(store.request_schema.as_ref().unwrap()["properties"]["sku"]["type"], "string");
}

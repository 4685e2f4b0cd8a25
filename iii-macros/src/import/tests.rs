//! Tests from the text of a catalogue file to the generated code: schemas, names and errors.

use quote::quote;
use serde_json::{Value, json};

use super::*;

/// Returns the code for a file, without spaces and common paths.
fn code_of(functions: &Value, options: TokenStream) -> String {
    let dir = folder(&functions.to_string());
    let code = expand_in(quote!("file.json", #options), Some(dir.clone())).to_string();
    std::fs::remove_dir_all(dir).unwrap();
    abbreviated(&code)
}

/// Creates a folder with a file `file.json`.
fn folder(text: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("iii-import-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("file.json"), text).unwrap();
    dir
}

fn abbreviated(code: &str) -> String {
    let mut code = code.replace(' ', "");
    for path in [
        "::core::primitive::",
        "::core::option::",
        "::std::string::",
        "::std::vec::",
        "::std::boxed::",
        "::std::collections::",
        "::iii::__private::",
        "serde(default,skip_serializing_if=\"Option::is_none\")",
    ] {
        code = code.replace(path, "");
    }
    code.replace("#[]", "?")
}

fn function(request: &Value) -> Value {
    json!([{"function_id": "a::do", "request_schema": request}])
}

/// Returns the code for a function with this request schema.
fn input(request: &Value) -> String {
    code_of(&function(request), quote!())
}

/// Returns the type of a field with this schema.
fn field(schema: &Value) -> String {
    let request = json!({"type": "object", "properties": {"x": schema}, "required": ["x"]});
    let code = input(&request);
    let (_, rest) = code.split_once("pubx:").unwrap_or_else(|| panic!("{code}"));
    let end = rest.find(",}").unwrap();
    rest[..end].to_owned()
}

fn assert_contains(code: &str, part: &str) {
    assert!(code.contains(part), "`{part}` is not in: {code}");
}

#[test]
fn simple_schemas_become_types() {
    for (schema, expected) in [
        (json!({"type": "string"}), "String"),
        (json!({"type": "string", "format": "date-time"}), "String"),
        (json!({"type": "boolean"}), "bool"),
        (json!({"type": "null"}), "()"),
        (json!({"type": "number"}), "f64"),
        (json!({"type": "number", "format": "float"}), "f32"),
        (json!({"type": "integer"}), "i64"),
        (json!({"type": "integer", "minimum": 0}), "u64"),
        (json!({"type": "integer", "minimum": -1}), "i64"),
        (json!({"type": "integer", "format": "uint8"}), "u8"),
        (json!({"type": "integer", "format": "uint16"}), "u16"),
        (json!({"type": "integer", "format": "uint32"}), "u32"),
        (json!({"type": "integer", "format": "uint64"}), "u64"),
        (json!({"type": "integer", "format": "uint"}), "u64"),
        (json!({"type": "integer", "format": "int8"}), "i8"),
        (json!({"type": "integer", "format": "int16"}), "i16"),
        (json!({"type": "integer", "format": "int32"}), "i32"),
        (json!({"type": "integer", "format": "int64"}), "i64"),
        (json!({"type": "array", "items": {"type": "string"}}), "Vec<String>"),
        (json!({"items": {"type": "string"}}), "Vec<String>"),
        (json!({"type": "array"}), "Vec<Payload>"),
        (
            json!({"type": "array", "items": {"type": "boolean"}, "minItems": 3, "maxItems": 3}),
            "[bool;3]",
        ),
        (
            json!({"type": "array", "items": {"type": "boolean"}, "minItems": 3, "maxItems": 4}),
            "Vec<bool>",
        ),
        (
            json!({"type": "array", "prefixItems": [{"type": "string"}, true], "minItems": 2, "maxItems": 2}),
            "(String,Payload,)",
        ),
        (
            json!({"type": "array", "items": [{"type": "string"}], "additionalItems": false}),
            "(String,)",
        ),
        (
            json!({"type": "array", "prefixItems": [{"type": "string"}], "items": false}),
            "(String,)",
        ),
        (json!({"type": "array", "prefixItems": [{"type": "string"}]}), "Vec<Payload>"),
        (json!({"type": "object"}), "BTreeMap<String,Payload>"),
        (
            json!({"type": "object", "additionalProperties": {"type": "number"}}),
            "BTreeMap<String,f64>",
        ),
        (
            json!({"type": "object", "additionalProperties": false,
                "patternProperties": {"^\\d+$": {"type": "number"}}}),
            "BTreeMap<String,f64>",
        ),
        (json!({"type": ["string", "null"]}), "Option<String>"),
        (json!({"type": "string", "nullable": true}), "Option<String>"),
        (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), "Option<String>"),
        (json!({"oneOf": [{"const": null}, {"type": "string"}]}), "Option<String>"),
        (json!({"anyOf": [{"type": "null"}]}), "()"),
        (json!({"allOf": [{"type": "string"}], "default": "x"}), "String"),
        (json!({"const": 3}), "i64"),
        (json!({"const": true}), "bool"),
        (json!({"enum": [1, 2, null]}), "Option<i64>"),
        (json!({"enum": [1.5, 2]}), "f64"),
    ] {
        assert_eq!(field(&schema), expected, "{schema}");
    }
}

#[test]
fn unsupported_schemas_become_raw_json() {
    for schema in [
        json!(true),
        json!(false),
        json!({}),
        json!({"description": "x"}),
        json!(7),
        json!({"type": "date"}),
        json!({"type": 7}),
        json!({"$ref": "#/$defs/Gone"}),
        json!({"$ref": "https://example.com/x.json"}),
        json!({"enum": ["a", 1]}),
        json!({"const": {"a": 1}}),
        json!({"oneOf": []}),
        json!({"oneOf": [{}, {"type": "string"}]}),
        json!({"not": {"type": "string"}}),
        json!({"allOf": [{"type": "string"}, {"maxLength": 3}]}),
        json!({"properties": {"a": true}, "oneOf": [{"const": "a"}, {"const": "b"}]}),
    ] {
        assert_eq!(field(&schema), "Payload", "{schema}");
    }
    assert_contains(&input(&Value::Null), "pubtypeDoInput=Payload;");
    assert_contains(&input(&json!({"type": "array", "items": {}})), "pubtypeDoInput=Vec<Payload>;");
}

#[test]
fn fields_keep_their_names_on_the_wire() {
    let code = input(&json!({
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "first-name": {"type": "string"},
            "first_name": {"type": "string", "description": "The name."},
            "self": {"type": "boolean", "default": true},
            "orderId": {"type": ["integer", "null"]},
        },
        "required": ["type", "first_name", "orderId"],
        "additionalProperties": {"type": "string"},
    }));
    assert_contains(&code, "pubr#type:String,");
    assert_contains(&code, "#[serde(rename=\"first-name\")]?pubfirst_name_:Option<String>,");
    assert_contains(&code, "#[doc=\"Thename.\"]pubfirst_name:String,");
    assert_contains(
        &code,
        "#[doc=\"Default:`true`.\"]#[serde(rename=\"self\")]?pubself_:Option<bool>,",
    );
    assert_contains(&code, "puborderId:Option<i64>,");
    assert_contains(&code, "#[serde(flatten)]pubadditional_properties:BTreeMap<String,String>,");
    assert!(!code.contains("default::Default"), "{code}");
    let optional = input(&json!({"type": "object", "properties": {"a": true}}));
    assert_contains(&optional, "?puba:Option<Payload>,");
    assert_contains(&optional, "::core::default::Default");
}

#[test]
fn enum_representations_are_recognised() {
    let texts = input(&json!({"oneOf": [
        {"const": "a-b", "description": "One."}, {"enum": [">=", "<="], "type": "string"},
    ]}));
    assert_contains(&texts, "pubenumDoInput{#[doc=\"One.\"]#[serde(rename=\"a-b\")]AB,");
    assert_contains(&texts, "#[serde(rename=\">=\")]Value,#[serde(rename=\"<=\")]Value2,}");
    assert_contains(&texts, "::core::marker::Copy");

    let twice = input(&json!({"enum": ["a", "b", "a"]}));
    assert_contains(&twice, "#[serde(rename=\"b\")]B,}");

    let external = input(&json!({"oneOf": [
        {"type": "string", "enum": ["Empty"]},
        {"type": "object", "properties": {"Liquid": {"type": "number"}}, "required": ["Liquid"],
            "additionalProperties": false},
        {"type": "object", "properties": {"Both": {"type": "object", "properties": {"a": true}, "required": ["a"]}},
            "required": ["Both"], "additionalProperties": false},
    ]}));
    assert_contains(&external, "pubenumDoInput{Empty,Liquid(f64),Both{a:Payload,},}");

    let internal = json!({"oneOf": [
        {"type": "object", "properties": {"kind": {"const": "log"}}, "required": ["kind"]},
        {"type": "object", "properties": {"kind": {"enum": ["hook"]}, "url": {"type": "string"}},
            "required": ["kind", "url"]},
    ]});
    let expected = "#[serde(tag=\"kind\")]pubenumDoInput{#[serde(rename=\"log\")]Log,\
                    #[serde(rename=\"hook\")]Hook{url:String,},}";
    assert_contains(&input(&internal), expected);

    let discriminated = input(&json!({
        "anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
        "discriminator": {"propertyName": "pet"},
        "$defs": {
            "Cat": {"type": "object", "properties": {"pet": {"const": "cat"}, "lives": {"type": "integer"}}},
            "Dog": {"type": "object", "properties": {"pet": {"const": "dog"}}},
        },
    }));
    assert_contains(&discriminated, "#[serde(tag=\"pet\")]pubenumDoInput{");
    assert_contains(&discriminated, "Cat{?lives:Option<i64>,}");

    let untagged = input(&json!({"anyOf": [
        {"type": "number"}, {"type": "integer"}, {"type": "string"},
        {"type": "object", "properties": {"a": true}, "required": ["a"]},
        {"type": "object", "title": "Two", "properties": {"a": true, "b": true}, "required": ["a", "b"]},
    ]}));
    assert_contains(
        &untagged,
        "#[serde(untagged)]pubenumDoInput{Two(Two),Object(DoInputObject),Integer(i64),Number(f64),Text(String),}",
    );
    let types = input(&json!({"type": ["string", "boolean", "null"]}));
    assert_contains(&types, "pubtypeDoInput=Option<DoInputValue>;");
    assert_contains(&types, "pubenumDoInputValue{Text(String),Bool(bool),}");
}

#[test]
fn references_are_resolved_and_recursion_is_boxed() {
    let code = input(&json!({
        "$ref": "#/$defs/Node",
        "$defs": {
            "Node": {"type": "object", "properties": {
                "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
                "all": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
                "other": {"$ref": "#/$defs/Other"},
                "json": {"$ref": "#/$defs/Json"},
                "loop": {"$ref": "#/$defs/Loop"},
                "plain": {"$ref": "#/$defs/a%20plain~1name"},
            }, "required": ["all", "other", "json", "loop", "plain"]},
            "Other": {"type": "object", "properties": {"node": {"$ref": "#/$defs/Node"}}, "required": ["node"]},
            "Json": {"type": "array", "items": {"$ref": "#/$defs/Json"}},
            "Loop": {"$ref": "#/$defs/Loop"},
            "a plain/name": {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]},
        },
    }));
    assert_contains(&code, "pubtypeDoInput=Node;");
    assert_contains(&code, "puball:Vec<Node>,");
    assert_contains(&code, "pubnext:Option<Box<Node>>,");
    assert_contains(&code, "pubother:Box<Other>,");
    assert_contains(&code, "pubnode:Box<Node>,");
    assert_contains(&code, "#[serde(transparent)]pubstructJson(pubVec<Json>);");
    assert_contains(&code, "pubtypeLoop=Payload;");
    assert_contains(&code, "pubstructAPlainName{");
    let root = input(&json!({"type": "object", "properties": {"up": {"$ref": "#"}}}));
    assert_contains(&root, "pubstructDoInput{?pubup:Option<Box<DoInput>>,}");
}

#[test]
fn all_of_is_merged() {
    let code = input(&json!({
        "allOf": [
            {"$ref": "#/definitions/Base"},
            {"type": "object", "properties": {"b": {"type": "object", "properties": {"c": {"enum": ["x", "y"]}}}}},
        ],
        "definitions": {"Base": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}},
    }));
    assert_contains(&code, "pubstructDoInput{puba:String,?pubb:Option<DoInputB>,}");
    assert_contains(&code, "pubstructDoInputB{?pubc:Option<DoInputBC>,}");
    assert_contains(&code, "pubenumDoInputBC{#[serde(rename=\"x\")]X,#[serde(rename=\"y\")]Y,}");
}

#[test]
fn type_names_are_stable() {
    let order =
        json!({"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]});
    let other =
        json!({"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]});
    let titled = |title: &str, schema: &Value| {
        let mut schema = schema.clone();
        schema["title"] = json!(title);
        schema
    };
    let list = |schema: &Value| json!({"type": "array", "items": {"$ref": "#/$defs/Order"}, "$defs": {"Order": schema}});
    let file = json!([
        {"function_id": "o::create", "request_schema": titled("NewOrder", &other), "response_schema": order},
        {"function_id": "o::list", "request_schema": titled("new order", &other), "response_schema": list(&order)},
        {"function_id": "o::other", "request_schema": titled("NewOrder", &order), "response_schema": list(&other)},
        {"function_id": "o::same", "request_schema": titled("NewOrder", &other), "response_schema": titled("Result", &other)},
    ]);
    let code = code_of(&file, quote!());
    // A title names one type, equal types share it, and the reserved name is an alias.
    assert_contains(&code, "pubstructNewOrder{pubid:String,}");
    assert_contains(&code, "pubtypeCreateInput=NewOrder;");
    assert_contains(&code, "pubtypeSameInput=NewOrder;");
    assert_contains(&code, "pubstructOtherInput{pubid:i64,}");
    // The title is no identifier, or a name of the prelude.
    assert_contains(&code, "pubstructListInput{pubid:String,}");
    assert_contains(&code, "pubstructSameOutput{pubid:String,}");
    // Without a title, an equal definition is used.
    assert_contains(&code, "pubstructOrder{pubid:i64,}");
    assert_contains(&code, "pubtypeCreateOutput=Order;");
    assert_contains(&code, "pubtypeListOutput=Vec<Order>;");
    // A different definition of the same name.
    assert_contains(&code, "pubstructOtherOrder{pubid:String,}");
    assert_contains(&code, "pubtypeOtherOutput=Vec<OtherOrder>;");
    // A selection keeps all names, and emits only the types that it needs.
    let chosen = code_of(&file, quote!(only = ["o::other"]));
    assert_contains(&chosen, "pubtypeOtherOutput=Vec<OtherOrder>;");
    assert!(!chosen.contains("Create") && !chosen.contains("structOrder"), "{chosen}");
}

#[test]
fn ids_become_modules_and_stubs() {
    let file = json!([
        {"function_id": "publish"},
        {"function_id": "iii::durable::publish"},
        {"function_id": "a::b", "namespace": "shop", "description": "Does b.\n\n    panic!()"},
        {"function_id": "a::b::c"},
        {"function_id": "a::c-d"},
        {"function_id": "a::c_d"},
        {"function_id": "a-x::move"},
        {"function_id": "a_x::self"},
    ]);
    let code = code_of(&file, quote!(timeout = "5s"));
    assert_contains(&code, "pubstructpublish{}");
    assert_contains(&code, "pubmodiii_{");
    assert_contains(
        &code,
        "pubstructb_{}#[automatically_derived]implFunctionforb_{constID:&'staticstr=\"a::b\";",
    );
    assert_contains(&code, "constNAMESPACE:Option<&'staticstr>=Option::Some(\"shop\");");
    assert_contains(&code, "#[doc=\"Doesb.\\n\\npanic!()\"]");
    assert_contains(&code, "=Option::Some(::core::time::Duration::from_millis(5000u64));");
    assert_contains(&code, "pubmodb{");
    assert_contains(&code, "implFunctionforc_d{constID:&'staticstr=\"a::c_d\";");
    assert_contains(&code, "implFunctionforc_d_{constID:&'staticstr=\"a::c-d\";");
    assert_contains(&code, "pubmoda_x{");
    assert_contains(&code, "pubmoda_x_{");
    assert_contains(&code, "implFunctionforr#move{");
    assert_contains(&code, "implFunctionforself_{");
    let code = code_of(&file, quote!(prefix = "a", namespace = crate::NS, crate = other));
    assert_contains(&code, "=Option::Some(crate::NS);");
    assert_contains(&code, "other::__private::Function");
    assert!(!code.contains("publish") && !code.contains("::iii::"), "{code}");
    let code = code_of(&file, quote!(only = ["a::b"], namespace = None));
    assert_contains(&code, "constNAMESPACE:Option<&'staticstr>=Option::None;");
}

#[test]
fn id_in_several_namespaces_requires_a_namespace() {
    let file = json!([
        {"function_id": "a::b", "namespace": "one", "request_schema": {"type": "string"}},
        {"function_id": "a::b", "namespace": "two", "request_schema": {"type": "boolean"}},
    ]);
    assert_contains(&code_of(&file, quote!()), "isinseveralnamespaces:`one`,`two`");
    assert_contains(&code_of(&file, quote!(namespace = "three")), "compile_error");
    let code = code_of(&file, quote!(namespace = "two"));
    assert_contains(&code, "pubtypeBInput=bool;");
    assert!(!code.contains("compile_error"), "{code}");
}

#[test]
fn each_error_is_reported_once() {
    let error_of = |text: &str, options: TokenStream| {
        let dir = folder(text);
        let code = expand_in(options, Some(dir.clone())).to_string();
        std::fs::remove_dir_all(dir).unwrap();
        assert_eq!(code.matches("compile_error").count(), 1, "{code}");
        code
    };
    let file = r#"[{"function_id": "orders::create"}]"#;
    for (text, options, part) in [
        (file, quote!("none.json"), "file `none.json` not found"),
        (file, quote!(), "missing catalogue file"),
        (file, quote!(7), "expected the path of a catalogue file as a string"),
        (file, quote!(catalogue), "expected the path of a catalogue file as a string"),
        (file, quote!("file.json", prefx = "a"), "did you mean `prefix`"),
        (file, quote!("file.json", prefix = "order"), "no function has the prefix `order`"),
        (file, quote!("file.json", only = ["orders::creat"]), "did you mean `orders::create`?"),
        (
            file,
            quote!("file.json", only = "orders::*"),
            "expected an array of function ids for `only`",
        ),
        (file, quote!("file.json", only = []), "`only` is empty"),
        (file, quote!("file.json", timeout = "soon"), "expected a duration"),
        ("{\n  ]", quote!("file.json"), "is not valid JSON: "),
        ("{\n  ]", quote!("file.json"), "at line 2 column 3"),
        ("[]", quote!("file.json"), "`file.json` contains no functions"),
        ("{}", quote!("file.json"), "is not a catalogue"),
    ] {
        assert_contains(&error_of(text, options), part);
    }
    // After an error in the file, its changes are still tracked.
    assert_contains(&error_of("[]", quote!("file.json")), "include_bytes");
}

//! Each form of schema, and each name and each mistake, from the text of a file to the code.

use quote::quote;
use serde_json::{Value, json};

use super::*;

/// The code of the types of one function, without what all code has.
fn code_of(functions: &Value, options: TokenStream) -> String {
    let dir = folder(&functions.to_string());
    let code = expand_in(quote!("file.json", #options), Some(dir.clone())).to_string();
    std::fs::remove_dir_all(dir).unwrap();
    short(&code)
}

/// A new folder with a file `file.json`.
fn folder(text: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("iii-import-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("file.json"), text).unwrap();
    dir
}

fn short(code: &str) -> String {
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

/// The code for one input.
fn input(request: &Value) -> String {
    code_of(&function(request), quote!())
}

/// The type of a field `x` of this schema.
fn field(schema: &Value) -> String {
    let request = json!({"type": "object", "properties": {"x": schema}, "required": ["x"]});
    let code = input(&request);
    let (_, rest) = code.split_once("pubx:").unwrap_or_else(|| panic!("{code}"));
    let end = rest.find(",}").unwrap();
    rest[..end].to_owned()
}

fn has(code: &str, part: &str) {
    assert!(code.contains(part), "`{part}` is not in: {code}");
}

#[test]
fn plain_schemas_are_plain_types() {
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
fn what_is_not_understood_is_raw_json() {
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
    has(&input(&Value::Null), "pubtypeDoInput=Payload;");
    has(&input(&json!({"type": "array", "items": {}})), "pubtypeDoInput=Vec<Payload>;");
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
    has(&code, "pubr#type:String,");
    has(&code, "#[serde(rename=\"first-name\")]?pubfirst_name_:Option<String>,");
    has(&code, "#[doc=\"Thename.\"]pubfirst_name:String,");
    has(&code, "#[doc=\"Default:`true`.\"]#[serde(rename=\"self\")]?pubself_:Option<bool>,");
    has(&code, "puborderId:Option<i64>,");
    has(&code, "#[serde(flatten)]pubadditional_properties:BTreeMap<String,String>,");
    assert!(!code.contains("default::Default"), "{code}");
    let optional = input(&json!({"type": "object", "properties": {"a": true}}));
    has(&optional, "?puba:Option<Payload>,");
    has(&optional, "::core::default::Default");
}

#[test]
fn the_forms_of_enums_are_told_apart() {
    let texts = input(&json!({"oneOf": [
        {"const": "a-b", "description": "One."}, {"enum": [">=", "<="], "type": "string"},
    ]}));
    has(&texts, "pubenumDoInput{#[doc=\"One.\"]#[serde(rename=\"a-b\")]AB,");
    has(&texts, "#[serde(rename=\">=\")]Value,#[serde(rename=\"<=\")]Value2,}");
    has(&texts, "::core::marker::Copy");

    let twice = input(&json!({"enum": ["a", "b", "a"]}));
    has(&twice, "#[serde(rename=\"b\")]B,}");

    let external = input(&json!({"oneOf": [
        {"type": "string", "enum": ["Empty"]},
        {"type": "object", "properties": {"Liquid": {"type": "number"}}, "required": ["Liquid"],
            "additionalProperties": false},
        {"type": "object", "properties": {"Both": {"type": "object", "properties": {"a": true}, "required": ["a"]}},
            "required": ["Both"], "additionalProperties": false},
    ]}));
    has(&external, "pubenumDoInput{Empty,Liquid(f64),Both{a:Payload,},}");

    let internal = json!({"oneOf": [
        {"type": "object", "properties": {"kind": {"const": "log"}}, "required": ["kind"]},
        {"type": "object", "properties": {"kind": {"enum": ["hook"]}, "url": {"type": "string"}},
            "required": ["kind", "url"]},
    ]});
    let expected = "#[serde(tag=\"kind\")]pubenumDoInput{#[serde(rename=\"log\")]Log,\
                    #[serde(rename=\"hook\")]Hook{url:String,},}";
    has(&input(&internal), expected);

    let discriminated = input(&json!({
        "anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
        "discriminator": {"propertyName": "pet"},
        "$defs": {
            "Cat": {"type": "object", "properties": {"pet": {"const": "cat"}, "lives": {"type": "integer"}}},
            "Dog": {"type": "object", "properties": {"pet": {"const": "dog"}}},
        },
    }));
    has(&discriminated, "#[serde(tag=\"pet\")]pubenumDoInput{");
    has(&discriminated, "Cat{?lives:Option<i64>,}");

    let untagged = input(&json!({"anyOf": [
        {"type": "number"}, {"type": "integer"}, {"type": "string"},
        {"type": "object", "properties": {"a": true}, "required": ["a"]},
        {"type": "object", "title": "Two", "properties": {"a": true, "b": true}, "required": ["a", "b"]},
    ]}));
    has(
        &untagged,
        "#[serde(untagged)]pubenumDoInput{Two(Two),Object(DoInputObject),Integer(i64),Number(f64),Text(String),}",
    );
    let types = input(&json!({"type": ["string", "boolean", "null"]}));
    has(&types, "pubtypeDoInput=Option<DoInputValue>;");
    has(&types, "pubenumDoInputValue{Text(String),Bool(bool),}");
}

#[test]
fn references_are_followed_and_recursion_gets_a_box() {
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
    has(&code, "pubtypeDoInput=Node;");
    has(&code, "puball:Vec<Node>,");
    has(&code, "pubnext:Option<Box<Node>>,");
    has(&code, "pubother:Box<Other>,");
    has(&code, "pubnode:Box<Node>,");
    has(&code, "#[serde(transparent)]pubstructJson(pubVec<Json>);");
    has(&code, "pubtypeLoop=Payload;");
    has(&code, "pubstructAPlainName{");
    let root = input(&json!({"type": "object", "properties": {"up": {"$ref": "#"}}}));
    has(&root, "pubstructDoInput{?pubup:Option<Box<DoInput>>,}");
}

#[test]
fn parts_of_an_object_are_joined() {
    let code = input(&json!({
        "allOf": [
            {"$ref": "#/definitions/Base"},
            {"type": "object", "properties": {"b": {"type": "object", "properties": {"c": {"enum": ["x", "y"]}}}}},
        ],
        "definitions": {"Base": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}},
    }));
    has(&code, "pubstructDoInput{puba:String,?pubb:Option<DoInputB>,}");
    has(&code, "pubstructDoInputB{?pubc:Option<DoInputBC>,}");
    has(&code, "pubenumDoInputBC{#[serde(rename=\"x\")]X,#[serde(rename=\"y\")]Y,}");
}

#[test]
fn types_have_stable_names() {
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
    // A title names a type, once; the same type has one name; the other name is always there.
    has(&code, "pubstructNewOrder{pubid:String,}");
    has(&code, "pubtypeCreateInput=NewOrder;");
    has(&code, "pubtypeSameInput=NewOrder;");
    has(&code, "pubstructOtherInput{pubid:i64,}");
    // No title that is a name, or one of the prelude.
    has(&code, "pubstructListInput{pubid:String,}");
    has(&code, "pubstructSameOutput{pubid:String,}");
    // Without a title it is the definition that is the same.
    has(&code, "pubstructOrder{pubid:i64,}");
    has(&code, "pubtypeCreateOutput=Order;");
    has(&code, "pubtypeListOutput=Vec<Order>;");
    // A definition of the same name that is another type.
    has(&code, "pubstructOtherOrder{pubid:String,}");
    has(&code, "pubtypeOtherOutput=Vec<OtherOrder>;");
    // A choice leaves all names as they are, and makes only what it needs.
    let chosen = code_of(&file, quote!(only = ["o::other"]));
    has(&chosen, "pubtypeOtherOutput=Vec<OtherOrder>;");
    assert!(!chosen.contains("Create") && !chosen.contains("structOrder"), "{chosen}");
}

#[test]
fn ids_become_modules_and_types() {
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
    has(&code, "pubstructpublish{}");
    has(&code, "pubmodiii_{");
    has(
        &code,
        "pubstructb_{}#[automatically_derived]implFunctionforb_{constID:&'staticstr=\"a::b\";",
    );
    has(&code, "constNAMESPACE:Option<&'staticstr>=Option::Some(\"shop\");");
    has(&code, "#[doc=\"Doesb.\\n\\npanic!()\"]");
    has(&code, "=Option::Some(::core::time::Duration::from_millis(5000u64));");
    has(&code, "pubmodb{");
    has(&code, "implFunctionforc_d{constID:&'staticstr=\"a::c_d\";");
    has(&code, "implFunctionforc_d_{constID:&'staticstr=\"a::c-d\";");
    has(&code, "pubmoda_x{");
    has(&code, "pubmoda_x_{");
    has(&code, "implFunctionforr#move{");
    has(&code, "implFunctionforself_{");
    let code = code_of(&file, quote!(prefix = "a", namespace = crate::NS, crate = other));
    has(&code, "=Option::Some(crate::NS);");
    has(&code, "other::__private::Function");
    assert!(!code.contains("publish") && !code.contains("::iii::"), "{code}");
    let code = code_of(&file, quote!(only = ["a::b"], namespace = None));
    has(&code, "constNAMESPACE:Option<&'staticstr>=Option::None;");
}

#[test]
fn an_id_in_several_namespaces_needs_a_choice() {
    let file = json!([
        {"function_id": "a::b", "namespace": "one", "request_schema": {"type": "string"}},
        {"function_id": "a::b", "namespace": "two", "request_schema": {"type": "boolean"}},
    ]);
    has(&code_of(&file, quote!()), "isinthenamespaces`one`and`two`:chooseone");
    has(&code_of(&file, quote!(namespace = "three")), "compile_error");
    let code = code_of(&file, quote!(namespace = "two"));
    has(&code, "pubtypeBInput=bool;");
    assert!(!code.contains("compile_error"), "{code}");
}

#[test]
fn each_mistake_is_one_message() {
    let told = |text: &str, options: TokenStream| {
        let dir = folder(text);
        let code = expand_in(options, Some(dir.clone())).to_string();
        std::fs::remove_dir_all(dir).unwrap();
        assert_eq!(code.matches("compile_error").count(), 1, "{code}");
        code
    };
    let file = r#"[{"function_id": "orders::create"}]"#;
    for (text, options, part) in [
        (file, quote!("none.json"), "there is no file `none.json`"),
        (file, quote!(), "which file?"),
        (file, quote!(7), "the file is a text"),
        (file, quote!(catalogue), "the file is a text"),
        (file, quote!("file.json", prefx = "a"), "did you mean `prefix`"),
        (file, quote!("file.json", prefix = "order"), "no function begins with `order`"),
        (file, quote!("file.json", only = ["orders::creat"]), "did you mean `orders::create`?"),
        (file, quote!("file.json", only = "orders::*"), "`only` is a list"),
        (file, quote!("file.json", only = []), "has no ids"),
        (file, quote!("file.json", timeout = "soon"), "span of time"),
        ("{\n  ]", quote!("file.json"), "is not JSON: "),
        ("{\n  ]", quote!("file.json"), "at line 2 column 3"),
        ("[]", quote!("file.json"), "`file.json` has no functions"),
        ("{}", quote!("file.json"), "no catalogue"),
    ] {
        has(&told(text, options), part);
    }
    // After a mistake in it the file is still watched.
    has(&told("[]", quote!("file.json")), "include_bytes");
}

//! What the official suite prescribes: tools, prompts and resources of fixed names with fixed answers, as data.

use rmcp::model::{
    CallToolResult, GetPromptResult, Prompt, ReadResourceResult, Resource, ResourceTemplate, Tool,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A red dot.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
/// No sound at all.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

/// By name.
const TOOLS: [&str; 28] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_tool_with_logging",
    "test_error_handling",
    "test_tool_with_progress",
    "test_sampling",
    "test_elicitation",
    "test_elicitation_sep1034_defaults",
    "test_elicitation_sep1330_enums",
    "test_reconnection",
    "test_missing_capability",
    "test_streaming_elicitation",
    "test_logging_tool",
    "test_trigger_tool_change",
    "test_trigger_prompt_change",
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_input_required_result_request_state",
    "test_input_required_result_tampered_state",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_multi_round",
    "test_input_required_result_capabilities",
    "test_custom_header",
    "json_schema_2020_12_tool",
];

/// Data as one of the protocol's types.
pub fn typed<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

/// A result that needs nothing further.
pub fn complete<T: DeserializeOwned>(mut value: Value) -> T {
    value["resultType"] = json!("complete");
    typed(value)
}

/// All of the tools.
pub fn tools() -> Vec<Tool> {
    let tool =
        |name| typed(json!({"name": name, "description": "Of the suite", "inputSchema": schema(name)}));
    TOOLS.map(tool).into()
}

fn schema(tool: &str) -> Value {
    let text = json!({"type": "string"});
    match tool {
        "test_sampling" => json!({"type": "object", "properties": {"prompt": text}, "required": ["prompt"]}),
        "test_elicitation" => {
            json!({"type": "object", "properties": {"message": text}, "required": ["message"]})
        }
        "test_custom_header" => {
            json!({"type": "object", "properties": {"value": {"type": "string", "x-mcp-header": "Value"}}})
        }
        "json_schema_2020_12_tool" => json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"street": text, "city": text}}},
            "properties": {
                "name": text, "address": {"$ref": "#/$defs/address"}, "contactMethod": {"type": "string", "enum": ["phone", "email"]},
                "phone": text, "email": text,
            },
            "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
            "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
            "then": {"required": ["phone"]},
            "else": {"required": ["email"]},
            "additionalProperties": false,
        }),
        _ => json!({"type": "object", "properties": {}}),
    }
}

/// What a tool answers that only answers.
pub fn answer(tool: &str) -> CallToolResult {
    let image = json!({"type": "image", "data": PNG, "mimeType": "image/png"});
    let resource = |uri: &str, mime: &str, text: &str| json!({"type": "resource", "resource": {"uri": uri, "mimeType": mime, "text": text}});
    let content = match tool {
        "test_simple_text" => vec![text("This is a simple text response for testing.")],
        "test_image_content" => vec![image],
        "test_audio_content" => vec![json!({"type": "audio", "data": WAV, "mimeType": "audio/wav"})],
        "test_embedded_resource" => {
            vec![resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")]
        }
        "test_multiple_content_types" => vec![
            text("Multiple content types test:"),
            image,
            resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ],
        "test_error_handling" => vec![text("This tool intentionally returns an error for testing")],
        _ => vec![text("done")],
    };
    complete(json!({"content": content, "isError": tool == "test_error_handling"}))
}

/// One block.
pub fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// All of the prompts.
pub fn prompts() -> Vec<Prompt> {
    let argument = |name: &str| json!({"name": name, "description": "Of the suite", "required": true});
    let arguments = |prompt: &str| match prompt {
        "test_prompt_with_arguments" => vec![argument("arg1"), argument("arg2")],
        "test_prompt_with_embedded_resource" => vec![argument("resourceUri")],
        _ => Vec::new(),
    };
    [
        "test_simple_prompt",
        "test_prompt_with_arguments",
        "test_prompt_with_embedded_resource",
        "test_prompt_with_image",
        "test_input_required_result_prompt",
    ]
    .map(|name| typed(json!({"name": name, "description": "Of the suite", "arguments": arguments(name)})))
    .into()
}

/// A prompt, filled in.
pub fn prompt(name: &str, arguments: &Value) -> GetPromptResult {
    let given = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
    let contents = match name {
        "test_prompt_with_arguments" => {
            let (first, second) = (given("arg1"), given("arg2"));
            vec![text(&format!("Prompt with arguments: arg1='{first}', arg2='{second}'"))]
        }
        "test_prompt_with_embedded_resource" => {
            let held = json!({
                "uri": given("resourceUri"), "mimeType": "text/plain", "text": "Embedded resource content for testing.",
            });
            vec![
                json!({"type": "resource", "resource": held}),
                text("Please process the embedded resource above."),
            ]
        }
        "test_prompt_with_image" => {
            vec![
                json!({"type": "image", "data": PNG, "mimeType": "image/png"}),
                text("Please analyze the image above."),
            ]
        }
        _ => vec![text("This is a simple prompt for testing.")],
    };
    let messages: Vec<Value> =
        contents.into_iter().map(|content| json!({"role": "user", "content": content})).collect();
    complete(json!({"messages": messages}))
}

/// All of the resources.
pub fn resources() -> Vec<Resource> {
    ["test://static-text", "test://static-binary", "test://watched-resource"]
        .map(|uri| typed(json!({"uri": uri, "name": uri, "description": "Of the suite"})))
        .into()
}

/// The template.
pub fn template() -> ResourceTemplate {
    typed(
        json!({"uriTemplate": "test://template/{id}/data", "name": "template", "description": "Of the suite"}),
    )
}

/// A resource's content; `None` for one that is not prescribed.
pub fn resource(uri: &str) -> Option<ReadResourceResult> {
    let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
    let content = match (uri, id) {
        (_, Some(id)) => {
            let data = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
            json!({"uri": uri, "mimeType": "application/json", "text": data.to_string()})
        }
        ("test://static-text", _) => {
            json!({"uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource."})
        }
        ("test://static-binary", _) => json!({"uri": uri, "mimeType": "image/png", "blob": PNG}),
        ("test://watched-resource", _) => json!({"uri": uri, "mimeType": "text/plain", "text": "watched"}),
        _ => return None,
    };
    Some(complete(json!({"contents": [content]})))
}

/// An elicitation of these properties.
pub fn elicitation(message: &str, properties: &Value) -> Value {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(|all| all.keys()).collect();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    json!({"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}})
}

/// A question for the client's model.
pub fn sampling(question: &str) -> Value {
    let params = json!({"messages": [{"role": "user", "content": text(question)}], "maxTokens": 100});
    json!({"method": "sampling/createMessage", "params": params})
}

"use strict";
// Renders /openapi.json. Texts of the document and of answers are only ever set as text, never as markup.

const MAX_SHOWN = 100000;
let spec = null;

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function resolve(value) {
  if (!value || typeof value.$ref !== "string") return value;
  return value.$ref.slice(2).split("/").reduce((at, name) => at && at[name], spec);
}

// A schema as a short sketch of the JSON that it stands for.
function sketch(schema, depth) {
  schema = resolve(schema);
  if (schema === true || schema === undefined || depth > 5) return "any";
  if (schema.enum) return schema.enum.map((word) => JSON.stringify(word)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const choices = schema.anyOf || schema.oneOf;
  if (choices && !schema.properties) return choices.map((one) => sketch(one, depth + 1)).join(" | ");
  if (schema.allOf && !schema.properties) return schema.allOf.map((one) => sketch(one, depth + 1)).join(" & ");
  const kinds = [].concat(schema.type || "any");
  if (kinds.includes("array")) return sketch(schema.items, depth + 1) + "[]" + (kinds.includes("null") ? " | null" : "");
  if (schema.properties) return sketchObject(schema, depth);
  return kinds.join(" | ");
}

function sketchObject(schema, depth) {
  const indent = "  ".repeat(depth + 1);
  const required = schema.required || [];
  const lines = Object.entries(schema.properties).map(([name, property]) => {
    const said = property.description ? "  // " + property.description.split("\n")[0] : "";
    return indent + name + (required.includes(name) ? ": " : "?: ") + sketch(property, depth + 1) + said;
  });
  return "{\n" + lines.join("\n") + "\n" + "  ".repeat(depth) + "}";
}

function field(parameter) {
  const label = make("label", "field");
  const mark = parameter.required ? " *" : "";
  label.append(make("code", "", parameter.name + mark));
  const input = make("input");
  input.placeholder = sketch(parameter.schema, 0) + " in " + parameter.in;
  label.append(input);
  if (parameter.description) label.append(make("small", "", parameter.description));
  return { label, input, parameter };
}

function bodyField(operation) {
  if (!operation.requestBody) return null;
  const [kind, media] = Object.entries(operation.requestBody.content)[0];
  const area = make("textarea");
  area.spellcheck = false;
  area.setAttribute("aria-label", "Body");
  if (media.example) area.value = JSON.stringify(media.example, null, 2);
  return { area, kind, media, required: operation.requestBody.required };
}

function address(path, fields) {
  const query = new URLSearchParams();
  let filled = path;
  for (const { input, parameter } of fields) {
    const value = input.value;
    if (parameter.in === "path") {
      const encoded = value.split("/").map(encodeURIComponent).join("/");
      filled = filled.replace("{" + parameter.name + "}", encoded);
    } else if (parameter.in === "query" && value !== "") {
      query.set(parameter.name, value);
    }
  }
  const text = query.toString();
  return filled + (text ? "?" + text : "");
}

function requestOf(method, fields, body) {
  const headers = {};
  const token = document.getElementById("token").value.trim();
  if (token) headers.Authorization = "Bearer " + token;
  for (const { input, parameter } of fields) {
    if (parameter.in === "header" && input.value !== "") headers[parameter.name] = input.value;
  }
  const request = { method: method.toUpperCase(), headers, credentials: "omit", redirect: "error" };
  if (body && (body.required || body.area.value !== "")) {
    headers["Content-Type"] = body.kind;
    request.body = body.area.value;
  }
  return request;
}

async function readSome(response) {
  if (!response.body) return "";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (text.length < MAX_SHOWN) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += value;
    // A stream of events has no end: what is there now is enough.
    if ((response.headers.get("content-type") || "").startsWith("text/event-stream")) break;
  }
  await reader.cancel();
  return text + "\n…";
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function send(url, request, output) {
  output.hidden = false;
  output.textContent = request.method + " " + url + "\n…";
  try {
    const response = await fetch(url, request);
    const head = [response.status + " " + response.statusText];
    for (const [name, value] of response.headers) head.push(name + ": " + value);
    output.textContent = head.join("\n") + "\n\n" + pretty(await readSome(response));
  } catch (error) {
    output.textContent = "The request could not be sent: " + error.message;
  }
}

function tryIt(path, method, operation) {
  const form = make("form");
  const fields = (operation.parameters || []).map(resolve).map(field);
  const body = bodyField(operation);
  if (fields.length) form.append(make("h3", "", "Parameters"));
  fields.forEach(({ label }) => form.append(label));
  if (body) {
    form.append(make("h3", "", "Body (" + body.kind + ")"), body.area);
    form.append(make("pre", "", sketch(body.media.schema, 0)));
  }
  const output = make("pre");
  output.hidden = true;
  const button = make("button", "", "Send");
  form.append(button, output);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(address(path, fields), requestOf(method, fields, body), output);
  });
  return form;
}

function replies(operation) {
  const list = make("div");
  list.append(make("h3", "", "Answers"));
  for (const [status, reply] of Object.entries(operation.responses)) {
    const shown = resolve(reply);
    list.append(make("div", "", status + ": " + shown.description));
    for (const [kind, media] of Object.entries(shown.content || {})) {
      if (kind === "application/problem+json") continue;
      list.append(make("pre", "", kind + "\n" + sketch(media.schema, 0)));
    }
  }
  return list;
}

function card(path, method, operation) {
  const details = make("details");
  const summary = make("summary");
  summary.append(make("span", "method " + method, method.toUpperCase()), " ", make("code", "", path));
  summary.append(" ", make("span", "faint", operation.summary));
  details.append(summary);
  details.dataset.text = (method + " " + path + " " + operation.summary).toLowerCase();
  // Built when it is first opened: most never are.
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) {
      details.append(tryIt(path, method, operation), replies(operation));
    }
  });
  return details;
}

function render() {
  document.getElementById("version").textContent = spec.info.version;
  document.getElementById("description").textContent = spec.info.description;
  const main = document.getElementById("operations");
  const groups = document.getElementById("groups");
  main.replaceChildren();
  for (const { name } of spec.tags) {
    const section = make("section");
    const heading = make("h2", "", name);
    heading.id = "group-" + name;
    section.append(heading);
    for (const [path, methods] of Object.entries(spec.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.tags.includes(name)) section.append(card(path, method, operation));
      }
    }
    main.append(section);
    const link = make("a", "", name);
    link.href = "#group-" + name;
    groups.append(link);
  }
}

function filter(text) {
  const wanted = text.trim().toLowerCase();
  for (const section of document.querySelectorAll("main section")) {
    let some = false;
    for (const details of section.querySelectorAll("details")) {
      details.hidden = !details.dataset.text.includes(wanted);
      some = some || !details.hidden;
    }
    section.hidden = !some;
  }
}

async function start() {
  const main = document.getElementById("operations");
  try {
    const response = await fetch("/openapi.json", { credentials: "omit" });
    if (!response.ok) throw new Error("status " + response.status);
    spec = await response.json();
    render();
  } catch (error) {
    main.replaceChildren(make("p", "", "The document could not be read: " + error.message));
  }
}

document.getElementById("find").addEventListener("input", (event) => filter(event.target.value));
start();

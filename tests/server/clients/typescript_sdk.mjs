// What an agent on one of the TypeScript SDKs sees; one JSON object on standard output. Arguments: the folder that has
// `node_modules`, and JSON with `sdk` (`client` or `sdk`), `mode` and `url` and `token`, or `command`.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, given] = process.argv.slice(2);
const target = JSON.parse(given);
const require = createRequire(pathToFileURL(`${folder}/package.json`));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);

async function sdk() {
  if (target.sdk === "client") {
    const main = await load("@modelcontextprotocol/client");
    const stdio = await load("@modelcontextprotocol/client/stdio");
    return { ...main, StdioClientTransport: stdio.StdioClientTransport };
  }
  const main = await load("@modelcontextprotocol/sdk/client/index.js");
  const http = await load("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const stdio = await load("@modelcontextprotocol/sdk/client/stdio.js");
  return { ...main, ...http, ...stdio };
}

const { Client, StdioClientTransport, StreamableHTTPClientTransport } = await sdk();
const options = target.sdk === "client" ? { versionNegotiation: { mode: target.mode } } : {};
const client = new Client({ name: "test", version: "1" }, options);
const transport = target.command
  ? new StdioClientTransport({ command: target.command[0], args: target.command.slice(1), env: target.env })
  : new StreamableHTTPClientTransport(new URL(target.url), {
      requestInit: { headers: { Authorization: `Bearer ${target.token}` } },
    });
// The older one tells the version to transports alone.
transport.setProtocolVersion ??= (version) => {
  transport.protocolVersion = version;
};
await client.connect(transport);

const { tools } = await client.listTools();
const found = await client.callTool({ name: "search", arguments: { query: "walrus" } });
const links = found.content.filter((block) => block.type === "resource_link").map((block) => block.uri);
const read = await client.readResource({ uri: links[0] });
const denied = await client.callTool({ name: "read_file", arguments: { path: "/docs/hidden/b.md" } });
const { prompts } = await client.listPrompts();
const prompt = await client.getPrompt({ name: "ask_with_citations", arguments: { question: "Where do they swim?" } });
const completed = await client.complete({
  ref: { type: "ref/prompt", name: "ask_with_citations" },
  argument: { name: "path_prefix", value: "/docs/" },
});
const version = client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion ?? null;
console.log(
  JSON.stringify({
    version,
    tools: tools.map((tool) => tool.name),
    hits: JSON.parse(found.content[0].text).hits.map((hit) => hit.path),
    links,
    read: read.contents[0].text,
    denied: { is_error: denied.isError, code: JSON.parse(denied.content[0].text).code },
    prompts: prompts.map((prompt) => prompt.name),
    prompt: prompt.messages[0].content.text,
    completed: completed.completion.values,
  }),
);
await client.close();

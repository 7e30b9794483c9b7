// What an agent on the older TypeScript SDK sees over HTTP with SSE; one JSON object on standard output. Arguments: the
// folder that has `node_modules`, and JSON with `url` and `token`.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, given] = process.argv.slice(2);
const target = JSON.parse(given);
const require = createRequire(pathToFileURL(`${folder}/package.json`));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);

const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
const { SSEClientTransport } = await load("@modelcontextprotocol/sdk/client/sse.js");
const headers = { Authorization: `Bearer ${target.token}` };
const transport = new SSEClientTransport(new URL(target.url), {
  requestInit: { headers },
  eventSourceInit: { fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }) },
});
const client = new Client({ name: "test", version: "1" });
await client.connect(transport);
const { tools } = await client.listTools();
const read = await client.callTool({ name: "read_file", arguments: { path: "/docs/a.md" } });
console.log(JSON.stringify({ tools: tools.map((tool) => tool.name), text: JSON.parse(read.content[0].text).text }));
await client.close();

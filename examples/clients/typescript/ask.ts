// Asks a Waypost server over MCP: which tools there are, a question, and whether the quotes of its answer hold.
//
//   npm install
//   WAYPOST_TOKEN=wp_… node ask.ts "Who approves refunds above 500 euros?"
//
// Node 22.18 and later run it as it is.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

type Citation = { n: number; path: string; version: string; start_byte: number; end_byte: number; quote: string };
type Answer = { answer: string; abstained: boolean; citations: Citation[] };
type Verified = { results: { path: string; status: string }[] };

const url = process.env.WAYPOST_URL ?? "http://127.0.0.1:7077";
const headers = { Authorization: `Bearer ${process.env.WAYPOST_TOKEN}` };
const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp?toolsets=knowledge`), { requestInit: { headers } });
const client = new Client({ name: "ask", version: "1" }, { versionNegotiation: { mode: "auto" } });

/** What a tool says. A refusal says what was wrong, and often what to do next. */
async function call<T>(name: string, args: Record<string, unknown>): Promise<T> {
  const result = await client.callTool({ name, arguments: args });
  const [block] = result.content as { text: string }[];
  const said = JSON.parse(block.text);
  if (result.isError) throw new Error(`${name}: ${said.message}${said.next ? ` (${said.next})` : ""}`);
  return said;
}

await client.connect(transport);
const { tools } = await client.listTools();
console.log("tools:", tools.map((tool) => tool.name).join(", "));
const question = process.argv.slice(2).join(" ") || "What is in these files?";
const { answer, abstained, citations } = await call<Answer>("ask", { question });
if (abstained) {
  console.log("the files do not say it");
} else {
  console.log(answer);
  const cited = citations.map(({ path, version, start_byte, end_byte, quote }) => ({ path, version, start_byte, end_byte, quote }));
  const { results } = await call<Verified>("verify_citations", { citations: cited });
  citations.forEach((citation, at) => console.log(`[${citation.n}] ${citation.path}: ${results[at].status}`));
}
await client.close();

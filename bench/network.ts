import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, get } from "node:http";
import { promisify } from "node:util";
import { clientVm, stopServers } from "./client.ts";
import { compare, type Measurement, median, SHORT_CALL_WARM_UP, table, type Work } from "./measure.ts";
import { isChosen } from "./options.ts";
import { bareVm } from "./vm.ts";

/**
 * `npm run bench:network`: requests to a server in a VM against the same server on the host, in the same run. `--only TEXT`
 * measures the rows alone whose name has the text.
 */
const SERVER = `
  const server = require("node:http").createServer((request, response) => {
    if (request.url === "/large") return response.end(Buffer.alloc(10_000_000));
    if (request.url === "/huge") return response.end(Buffer.alloc(100_000_000));
    response.end("hello");
  });
  server.keepAliveTimeout = 60_000;
  server.listen(Number(process.argv[1]), "127.0.0.1", () => console.log("listening"));`;
const HOST_PORT = 38_471;
const agent = new Agent({ keepAlive: true });

const host = spawn(process.execPath, ["-e", SERVER, String(HOST_PORT)], {
  stdio: ["ignore", "pipe", "inherit"],
});
await once(host.stdout, "data");
const bare = bareVm();
const client = await clientVm();
for (const vm of [bare, client]) {
  await vm.spawn("node", ["-e", SERVER, "3000"]);
  await vm.waitForPort(3000);
}
const { url } = await client.createSignedPreviewUrl(3000);

const first: number[] = [];
for (let round = 0; round < 10 && isChosen("first request"); round++) {
  const vm = bareVm();
  await vm.spawn("node", ["-e", SERVER, "3000"]);
  await vm.waitForPort(3000);
  const started = performance.now();
  await vm.vmFetch(3000, "/");
  first.push(performance.now() - started);
  await vm.dispose("destroy");
}

const results: Measurement[] = [];
const row = async (name: string, rounds: number, ways: Record<string, Work>, warmUp?: number) => {
  if (isChosen(name)) results.push(await compare(name, rounds, ways, warmUp));
};
const ways = (path: string) => ({
  host: () => direct(path),
  runtime: () => bare.vmFetch(3000, path),
  client: () => client.vmFetch(3000, path),
  preview: () => load(new URL(path.slice(1), url)),
});
const parallel = (count: number, work: () => Promise<unknown>) => () =>
  Promise.all(Array.from({ length: count }, work));
await row("GET", 300, ways("/"), SHORT_CALL_WARM_UP);
const many = Object.entries(ways("/")).map(([way, work]) => [way, parallel(100, work)] as const);
await row("100 GETs at once", 20, Object.fromEntries(many));
await row("GET of 10 MB", 20, ways("/large"));
const streamed = async () => (await client.vmFetch(3000, "/large", { stream: true })).arrayBuffer();
await row("GET of 10 MB as a stream", 20, { host: () => direct("/large"), client: streamed });

// The way out: a program of the VM, against the same program on the host.
const run = promisify(execFile);
const curl = `curl -sS --noproxy * -o /dev/null http://127.0.0.1:${HOST_PORT}`;
const inside = curl.replace("*", "'*'").replace("127.0.0.1", "host.agent-vm");
await bare.setNetworkPolicy({ outbound: { allow: [`host.agent-vm:${HOST_PORT}`] } });
const out = (path: string) => ({
  host: () => run("curl", `${curl}${path}`.split(" ").slice(1)),
  transparent: () => bare.exec(`${inside}${path}`),
  proxy: () => bare.exec(`curl -sS -o /dev/null http://host.agent-vm:${HOST_PORT}${path}`),
});
await row("curl out", 20, out("/"));
await row("curl out, 100 MB", 10, out("/huge"));

console.log(table(results, ["host", "runtime", "client", "preview", "transparent", "proxy"]));
if (first.length > 0)
  console.log(`\nfirst request into a VM: ${median(first).toFixed(1)} ms (median of ${first.length})`);

host.kill();
agent.destroy();
await bare.dispose("destroy");
await stopServers();
process.exit(0);

function direct(path: string): Promise<unknown> {
  return load(new URL(path, `http://127.0.0.1:${HOST_PORT}`));
}

/** Sends a request as a client of the host does, over kept connections. */
function load(url: URL): Promise<unknown> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve(Buffer.concat(chunks)));
      response.on("error", reject);
    }).on("error", reject);
  });
}

import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { createClient } from "../src/client/index.ts";
import type { VmConnection } from "../src/client/types.ts";
import { createVm } from "../src/index.ts";
import type { registry as Registry } from "../src/server.ts";
import { brief, SCRIPTED, withScripted } from "../test/support/scripted.ts";
import { startServerProcess } from "../test/support/server-process.ts";
import { compare, median, table } from "./measure.ts";

/** `npm run bench:sessions`: what sessions cost beyond their agent, here the scripted one of the tests. */
const ROUNDS = 20;
const UPDATES = 1_000;
const CHUNKS = 100_000;

const server = await startServerProcess({
  program: new URL("../test/support/scripted-server.ts", import.meta.url).pathname,
});
const client = createClient<typeof Registry>({ endpoint: server.endpoint });
const conn = client.vm.getOrCreate("bench").connect();
const outputs = new Map<number, PassThrough>();
const bare = await createVm(withScripted, {
  emit: (name, payload) => {
    if (name === "processOutput" && "stream" in payload && payload.stream === "stdout") {
      outputs.get(payload.pid)?.write(payload.data);
    }
  },
});

console.log(await starts());
console.log(`\n${await latency()}`);
console.log(`\n${await flood()}`);
await bare.dispose("destroy");
await client.dispose();
await server.stop("SIGKILL");
process.exit(0);

/** The same agent in the same kind of VM, by nothing but spawn and its stdio. */
async function direct(): Promise<number> {
  const { pid } = await bare.spawn(SCRIPTED.command, SCRIPTED.args, { cwd: "/workspace" });
  const output = new PassThrough();
  outputs.set(pid, output);
  const lines = createInterface(output)[Symbol.asyncIterator]();
  const requests = [
    { method: "initialize", params: { protocolVersion: 1, clientCapabilities: {} } },
    { method: "session/new", params: { cwd: "/workspace", mcpServers: [] } },
  ];
  for (const [id, request] of requests.entries()) {
    await bare.writeProcessStdin(pid, `${JSON.stringify({ jsonrpc: "2.0", id, ...request })}\n`);
    await lines.next();
  }
  return pid;
}

async function starts(): Promise<string> {
  const session = (vm: typeof bare | VmConnection) => async () => {
    const { sessionId } = await vm.createSession("scripted");
    return () => vm.destroySession(sessionId);
  };
  const spawned = async () => {
    const pid = await direct();
    return () => bare.killProcess(pid).then(() => bare.waitProcess(pid));
  };
  const ways = { direct: spawned, runtime: session(bare), client: session(conn) };
  const results = await compare("start of an agent and its session", ROUNDS, ways);
  const { direct: alone = 0, runtime = 0, client: through = 0 } = results.medians;
  const beyond = (ms: number) => `${(ms - alone).toFixed(1)} ms`;
  return [
    table([results], ["direct", "runtime", "client"]),
    `ours beyond the agent's own start: runtime ${beyond(runtime)}, client ${beyond(through)}`,
  ].join("\n\n");
}

/** From the agent's write to the subscriber's callback in another process, by the one clock of the machine. */
async function latency(): Promise<string> {
  const { sessionId } = await conn.createSession("scripted");
  const delays: number[] = [];
  const end = conn.on("sessionEvent", ({ event }) => {
    const written = Number(brief(event));
    if (written > 0) delays.push(performance.timeOrigin + performance.now() - written);
  });
  await conn.sendPrompt(sessionId, "clock 50 4");
  delays.length = 0;
  await conn.sendPrompt(sessionId, `clock ${UPDATES} 4`);
  end();
  await conn.destroySession(sessionId);
  const sorted = delays.sort((one, other) => one - other);
  const at = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN).toFixed(2);
  return `an update from the agent's write to a client's callback, ${sorted.length} of them: median ${median(sorted).toFixed(2)} ms, 99 % within ${at(0.99)} ms, at most ${at(1)} ms`;
}

async function flood(): Promise<string> {
  const { sessionId } = await conn.createSession("scripted");
  let heard = 0;
  let last = -1;
  let isOrdered = true;
  const end = conn.on("sessionEvent", ({ sequenceNumber }) => {
    heard += 1;
    isOrdered &&= sequenceNumber === last + 1;
    last = sequenceNumber;
  });
  const before = server.residentMib();
  let most = before;
  const samples = setInterval(() => {
    most = Math.max(most, server.residentMib());
  }, 50);
  const started = performance.now();
  await conn.sendPrompt(sessionId, `flood ${CHUNKS}`);
  while (heard < CHUNKS + 1) await new Promise((resolve) => setTimeout(resolve, 5));
  const seconds = (performance.now() - started) / 1000;
  clearInterval(samples);
  end();
  await conn.destroySession(sessionId);
  const order = isOrdered ? "in order" : "OUT OF ORDER";
  return `a flood of ${CHUNKS} chunks, stored and heard by a client ${order}: ${Math.round(CHUNKS / seconds)} a second, server ${before.toFixed(0)} MiB before, ${most.toFixed(0)} MiB at most`;
}

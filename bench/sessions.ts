import { createClient } from "../src/client/index.ts";
import type { VmConnection } from "../src/client/types.ts";
import { createVm } from "../src/index.ts";
import type { registry as Registry } from "../src/server.ts";
import { brief, withScripted } from "../test/support/scripted.ts";
import { startServerProcess } from "../test/support/server-process.ts";
import { DirectAgent } from "./direct-agent.ts";
import { compare, median, table } from "./measure.ts";

/** `npm run bench:sessions`: cost that sessions add to their agent. The agent is the scripted one of the tests. */
const ROUNDS = 20;
const UPDATES = 1_000;
const CHUNKS = Number(process.argv[2] ?? 100_000);

const server = await startServerProcess({
  program: new URL("../test/support/server-program.ts", import.meta.url).pathname,
});
const client = createClient<typeof Registry>({ endpoint: server.endpoint });
const conn = client.vm.getOrCreate("bench").connect();
const bare = await createVm(withScripted);

console.log(await againstDirect());
console.log(`\n${await latency()}`);
console.log(`\n${await flood()}`);
await bare.dispose("destroy");
await DirectAgent.stop();
await client.dispose();
await server.stop("SIGKILL");
process.exit(0);

/** Compares the start of sessions and single prompts with an agent without a session. */
async function againstDirect(): Promise<string> {
  const session = (vm: typeof bare | VmConnection) => async () => {
    const { sessionId } = await vm.createSession("scripted");
    return () => vm.destroySession(sessionId);
  };
  const direct = async () => {
    const agent = await DirectAgent.open();
    return () => agent.end();
  };
  const ways = { direct, runtime: session(bare), client: session(conn) };
  const starts = await compare("start of an agent and its session", ROUNDS, ways);
  const agent = await DirectAgent.open();
  const [inside, through] = [await bare.createSession("scripted"), await conn.createSession("scripted")];
  const prompts = await compare("prompt with a one-word answer", 10 * ROUNDS, {
    direct: () => agent.prompt("say word"),
    runtime: () => bare.sendPrompt(inside.sessionId, "say word"),
    client: () => conn.sendPrompt(through.sessionId, "say word"),
  });
  await agent.end();
  await bare.destroySession(inside.sessionId);
  await conn.destroySession(through.sessionId);
  return table([starts, prompts], ["direct", "runtime", "client"]);
}

/** Measures the time from the agent's write to the client's callback. Both processes use the clock of this machine. */
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
  return `update from the agent's write to a client's callback, ${sorted.length} of them: median ${median(sorted).toFixed(2)} ms, 99 % within ${at(0.99)} ms, at most ${at(1)} ms`;
}

async function flood(): Promise<string> {
  const { sessionId } = await conn.createSession("scripted");
  let received = 0;
  let last = -1;
  let isOrdered = true;
  const end = conn.on("sessionEvent", ({ sequenceNumber }) => {
    received += 1;
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
  while (received < CHUNKS + 1) await new Promise((resolve) => setTimeout(resolve, 5));
  const seconds = (performance.now() - started) / 1000;
  clearInterval(samples);
  end();
  await conn.destroySession(sessionId);
  const order = isOrdered ? "in order" : "OUT OF ORDER";
  return `flood of ${CHUNKS} chunks, stored and received by a client ${order}: ${Math.round(CHUNKS / seconds)} a second, server ${before.toFixed(0)} MiB before, ${most.toFixed(0)} MiB at most`;
}

import { randomBytes } from "node:crypto";
import { access, readFile, rm, writeFile } from "node:fs/promises";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { clientVm, stopServers } from "./client.ts";
import { hostExec, hostRun, hostTerminal } from "./host.ts";
import { compare, type Measurement, SHORT_CALL_WARM_UP, table, type Work } from "./measure.ts";
import { idleMemory } from "./memory.ts";
import { BENCH_OPTIONS, isChosen } from "./options.ts";
import { installPeer, type Peer } from "./peer.ts";
import { writeRatios } from "./ratios.ts";
import { bareBoot, bareVm, callingVm } from "./vm.ts";

/**
 * `npm run bench`: compares a VM with its host in one run, and with agentOS's core if `--peer` is given. `--ratios FILE`
 * writes the ratios for `npm run bench:check`. `--only TEXT` measures the rows alone whose name has the text.
 */
const PEER_MAX_FILE_BYTES = 1024 * 1024;
const peerPackage = BENCH_OPTIONS.peer ? await installPeer() : undefined;
const peer = await peerPackage?.create();

const bare = bareVm();
const client = await clientVm();
const scratch = join(tmpdir(), `agent-vm-bench-${process.pid}`);
const results: Measurement[] = [];

/** Measures a row of the table, if it is chosen. */
async function row(name: string, rounds: number, ways: Record<string, Work>, warmUp?: number): Promise<void> {
  if (isChosen(name)) results.push(await compare(name, rounds, ways, warmUp));
}

const onPeer = (work: (peer: Peer) => Promise<unknown>): Record<string, Work> =>
  peer === undefined ? {} : { agentOS: () => work(peer) };

const nativeWays = (line: string): Record<string, Work> => ({
  host: () => hostExec(line),
  runtime: () => bare.exec(line),
  client: () => client.exec(line),
});

async function execLine(name: string, line: string, rounds: number): Promise<void> {
  await row(name, rounds, { ...nativeWays(line), ...onPeer((vm) => vm.exec(line)) });
}

await execLine('exec "echo hello"', "echo hello", 100);
await execLine("three-stage pipeline", "seq 1 1000 | sort -r | head -3", 30);
await execLine("node hello", "node -e 'console.log(1)'", 30);
await execLine("sha256 of 1 MB", "head -c 1000000 /dev/zero | sha256sum", 30);
// agentOS does not have python.
await row("CPU: python adds up 5 million numbers", 9, nativeWays("python3 -c 'sum(range(5_000_000))'"));

const calling = callingVm();
await calling.exec("true");
await row("call a host function, from its start to its result", 100, {
  host: () => hostExec("true"),
  runtime: () => calling.exec("exec agentos-bench now"),
});
await row("exec of nothing in the same VM", 100, {
  host: () => hostExec("true"),
  runtime: () => calling.exec("exec true"),
});
await calling.dispose("destroy");

// The least that the kernel takes for the namespaces of a VM.
await row("bare boot, beside unshare -Urmpniuf true", 60, {
  host: () => hostRun("unshare", ["-Urmpniuf", "true"]),
  runtime: async () => {
    const sandbox = await bareBoot();
    return () => sandbox.dispose();
  },
});

/** Makes a VM through the client and uses it. The clock does not count its destruction. */
const create =
  (
    kind: "pool" | "no pool" | "memory",
    use: (vm: Awaited<ReturnType<typeof clientVm>>) => Promise<unknown>,
  ) =>
  async () => {
    const fresh = await clientVm(kind);
    await use(fresh);
    return () => fresh.destroy();
  };
const CREATION = "create a VM, first exec";
const creations =
  isChosen(CREATION) &&
  (await compare(CREATION, 30, {
    host: () => hostExec("true"),
    runtime: async () => {
      const vm = bareVm();
      await vm.exec("true");
      return () => vm.dispose("destroy");
    },
    client: create("pool", (vm) => vm.exec("true")),
    "no pool": create("no pool", (vm) => vm.exec("true")),
    memory: create("memory", (vm) => vm.exists("/tmp")),
    ...(peerPackage === undefined
      ? {}
      : {
          agentOS: async () => {
            const vm = await peerPackage.create();
            await vm.exec("true");
            return () => vm.dispose();
          },
        }),
  }));
if (creations) {
  const { host = 0, "no pool": withoutPool = 0, memory = 0 } = creations.medians;
  results.push(
    creations,
    { name: "create a VM, first exec, nothing booted ahead", medians: { host, client: withoutPool } },
    { name: "create a VM of the memory runtime, first file action", medians: { host, client: memory } },
  );
}

for (const [name, size, rounds, warmUp] of [
  ["1 KB", 1024, 200, SHORT_CALL_WARM_UP],
  ["100 MB", 100 * 1024 * 1024, 5, 1],
] as const) {
  const data = new Uint8Array(size).fill(97);
  const path = "/workspace/bench";
  await row(
    `writeFile ${name}`,
    rounds,
    {
      host: () => writeFile(scratch, data),
      runtime: () => bare.writeFile(path, data),
      client: () => client.writeFile(path, data),
      ...(size > PEER_MAX_FILE_BYTES ? {} : onPeer((vm) => vm.writeFile("/tmp/bench", data))),
    },
    warmUp,
  );
  if (!isChosen(`readFile ${name}`)) continue;
  await Promise.all([writeFile(scratch, data), bare.writeFile(path, data), client.writeFile(path, data)]);
  await row(
    `readFile ${name}`,
    rounds,
    {
      host: () => readFile(scratch),
      runtime: () => bare.readFile(path),
      client: () => client.readFile(path),
      ...(size > PEER_MAX_FILE_BYTES ? {} : onPeer((vm) => vm.readFile("/tmp/bench"))),
    },
    warmUp,
  );
}

await row(
  "exists",
  200,
  {
    host: () => access("/tmp"),
    runtime: () => bare.exists("/workspace"),
    client: () => client.exists("/workspace"),
  },
  SHORT_CALL_WARM_UP,
);

// New content in each round: the store has the chunks of content that comes again. The host's write is durable, too.
const fresh: Record<string, Uint8Array> = {};
const another = (way: string) => {
  const data = fresh[way] ?? randomBytes(100 * 1024 * 1024);
  // A chunk of the store has 128 KiB.
  for (let at = 0; at < data.length; at += 64 * 1024) data[at] = Math.random() * 256;
  fresh[way] = data;
  return data;
};
await row("writeFile 100 MB of new content, synced", 5, {
  host: () => writeFile(scratch, another("host"), { flush: true }),
  client: () => client.writeFile("/workspace/bench", another("client")),
});

const ECHO = "key to echo on a terminal";
if (isChosen(ECHO)) results.push(await terminalEcho());

const columns = ["host", "runtime", "client", ...(peer === undefined ? [] : ["agentOS"])];
console.log(`Node ${process.version}, Linux ${release()}, ${cpus().length} x ${cpus()[0]?.model}`);
if (peerPackage !== undefined) console.log(`agentOS core ${peerPackage.version}`);
console.log(`\n${table(results, columns)}\n`);
if (creations) {
  const shown = creations.worst.client?.toFixed(1);
  console.log(`Create and first exec through the client: at most ${shown} ms in 99 of 100 rounds`);
}
if (BENCH_OPTIONS.ratios !== undefined) writeRatios(BENCH_OPTIONS.ratios, results);
if (isChosen("idle VM")) {
  const { serverMib, processesMib, spawnerMib } = await idleMemory();
  console.log(
    `Idle VM: ${(serverMib + processesMib).toFixed(2)} MiB (server ${serverMib.toFixed(2)}, processes ${processesMib.toFixed(2)} PSS), ` +
      `and a spawner of ${spawnerMib.toFixed(2)} MiB for 30 s`,
  );
}

await rm(scratch, { force: true });
await peer?.dispose();
peerPackage?.remove();
await bare.dispose("destroy");
await stopServers();
process.exit(0);

/** Measures the time from a key to its echo. */
async function terminalEcho(): Promise<Measurement> {
  const host = hostTerminal();
  let onEcho: () => void = () => undefined;
  host.onData(() => onEcho());
  let shell = "";
  const vm = bareVm((name, payload) => {
    if (name === "shellData" && "shellId" in payload && payload.shellId === shell) onEcho();
  });
  shell = (await vm.openShell({ command: "cat" })).shellId;
  const echo = (write: () => unknown) =>
    new Promise<void>((resolve) => {
      onEcho = resolve;
      write();
    });
  const measured = await compare(ECHO, 200, {
    host: () => echo(() => host.write("x")),
    runtime: () => echo(() => vm.writeShell(shell, "x")),
  });
  host.kill();
  await vm.dispose("destroy");
  return measured;
}

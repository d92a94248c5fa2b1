import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { createClient as createRivetClient } from "rivetkit/client";
import { vmActor } from "../src/actors/vm.ts";
import { createClient } from "../src/client/index.ts";
import { listen } from "../src/http/listen.ts";
import { setup } from "../src/http/setup.ts";
import { freePort } from "../test/support/free-port.ts";
import { type Measured, measure } from "./loop.ts";

/** `npm run bench:messages`: the time for which large messages hold the event loop of a server. Clients run in a thread of their own. */
const MB = 1_000_000;
const SIZE = Number(process.env.MEGABYTES ?? "30") * MB;
const ROUNDS = Number(process.env.ROUNDS ?? "3");
const registryOf = (port: number, dataDir: string) => setup({ use: { vm: vmActor() }, port, dataDir });
type BenchRegistry = ReturnType<typeof registryOf>;

const ENCODINGS = ["bare", "cbor", "json"] as const;

type Call = () => Promise<unknown>;

/** Calls by their names, as a client in its thread makes them. */
async function callsOf(endpoint: string): Promise<Record<string, Call>> {
  const text = "x".repeat(SIZE);
  const wide = "ä".repeat(SIZE / 2);
  const bytes = new Uint8Array(SIZE).fill(120);
  const vm = createClient<BenchRegistry>({ endpoint }).vm.getOrCreate("vm");
  await vm.exec("true");
  const connection = vm.connect();
  const server =
    "require('http').createServer((q,s)=>q.url=='/get'?s.end(Buffer.alloc(+process.argv[1])):q.resume().on('end',()=>s.end('ok'))).listen(3000)";
  await vm.spawn("node", ["-e", server, `${SIZE}`]);
  await vm.waitForPort(3000);
  await vm.writeFile("/workspace/large", bytes);
  await vm.writeFile("/workspace/wide", wide);
  const cat = await vm.spawn("bash", ["-c", "exec cat > /dev/null"]);
  const calls: Record<string, Call> = {
    "writeFile, text": () => vm.writeFile("/workspace/w", text),
    "writeFile, bytes": () => vm.writeFile("/workspace/w", bytes),
    "writeFile, wide text, connection": () => connection.writeFile("/workspace/w", wide),
    writeFiles: () =>
      vm.writeFiles([
        { path: "/workspace/1", content: text.slice(SIZE / 2) },
        { path: "/workspace/2", content: bytes.subarray(SIZE / 2) },
      ]),
    "exec, stdin text": () => vm.exec("cat > /dev/null", { stdin: text }),
    "exec, stdin bytes": () => vm.exec("cat > /dev/null", { stdin: bytes }),
    "exec, stdout": () => vm.exec("cat large", { cwd: "/workspace" }),
    "exec, wide stdout": () => vm.exec("cat wide", { cwd: "/workspace" }),
    "writeProcessStdin, bytes": () => vm.writeProcessStdin(cat.pid, bytes),
    "vmFetch, body text": () => vm.vmFetch(3000, "/post", { method: "POST", body: text }),
    "vmFetch, body bytes": () => vm.vmFetch(3000, "/post", { method: "POST", body: bytes }),
    "vmFetch, answer": () => vm.vmFetch(3000, "/get"),
    readFile: () => vm.readFile("/workspace/large"),
  };
  for (const encoding of ENCODINGS) {
    const plain = createRivetClient<BenchRegistry>({ endpoint, encoding, disableMetadataLookup: true });
    const handle = plain.vm.getOrCreate(["vm"]);
    const conn = handle.connect();
    for (const [way, of] of [
      ["handle", handle],
      ["connection", conn],
    ] as const) {
      calls[`plain ${encoding} ${way}: writeFile, text`] = () => of.writeFile("/workspace/w", text);
      calls[`plain ${encoding} ${way}: writeFile, bytes`] = () => of.writeFile("/workspace/w", bytes);
      calls[`plain ${encoding} ${way}: readFile`] = () => of.readFile("/workspace/large");
    }
  }
  return calls;
}

if (isMainThread) await main();
else await serveCalls();

async function serveCalls(): Promise<void> {
  const calls = await callsOf(workerData as string);
  parentPort?.postMessage(Object.keys(calls));
  parentPort?.on("message", async (name: string) => {
    const outcome = await calls[name]?.().then(
      () => "ok",
      (error: { code?: string; message: string }) => error.code ?? error.message,
    );
    parentPort?.postMessage(outcome);
  });
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "agent-vm-bench-"));
  const registry = registryOf(await freePort(), folder);
  const server = await listen(registry);
  const worker = new Worker(import.meta.filename, { workerData: server.endpoint });
  const [names] = (await once(worker, "message")) as [string[]];
  const wanted = new RegExp(process.env.ONLY ?? "");
  console.log("| call | longest turn, CPU ms | wall ms | outcome |\n|---|---:|---:|---|");
  for (const name of names.filter((each) => wanted.test(each))) {
    let best: Measured | undefined;
    let outcome = "";
    for (let round = 0; round < ROUNDS; round++) {
      const measured = await measure(async () => {
        worker.postMessage(name);
        [outcome] = (await once(worker, "message")) as [string];
      });
      if (best === undefined || measured.cpu < best.cpu) best = measured;
    }
    console.log(`| ${name} | ${best?.cpu.toFixed(0)} | ${best?.ms.toFixed(0)} | ${outcome} |`);
  }
  await worker.terminate();
  const { disposeAll } = await import("../src/actors/awake-vms.ts");
  await disposeAll("destroy");
  rmSync(folder, { recursive: true, force: true });
  process.exit();
}

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { VmHandle } from "../../src/client/types.ts";
import { marked } from "../support/marked.ts";
import { runProgram } from "../support/program.ts";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { FEATURES } from "./features.ts";
import { Fleet, type Server } from "./fleet.ts";

/** A line of the table. */
export interface Row {
  name: string;
  ms: number;
  /** Why it does not work; `undefined` if it does. */
  error: string | undefined;
}

interface WalkOptions {
  /** Program of a Rivet Engine. */
  engine: string;
  /** An empty folder. */
  folder: string;
  /** Leaves long features out. @default false */
  isShort?: boolean;
  /** Receives each line as it is known. */
  onRow(row: Row): void;
}

/** Longest time for one line. */
const STEP_TIMEOUT_MS = 100_000;

/** Brings a fleet up, walks the features of a VM, and then lets parts of the fleet fail. */
export async function walk({ engine, folder, isShort = false, onRow }: WalkOptions): Promise<Row[]> {
  const fleet = new Fleet(engine, folder);
  const rows: Row[] = [];
  const step = async (name: string, run: () => Promise<unknown>) => {
    const startedAt = performance.now();
    let error: string | undefined;
    try {
      await limited(run());
    } catch (thrown) {
      error = String(thrown).slice(0, 300);
    }
    const row = { name, ms: Math.round(performance.now() - startedAt), error };
    rows.push(row);
    onRow(row);
    return error === undefined;
  };
  try {
    if (!(await step("engine, two servers and a front start", () => fleet.start()))) return rows;
    await using client = fleet.client();
    const vm = client.vm.getOrCreate("walk");
    const connection = vm.connect();
    for (const { name, isLong, run } of FEATURES) {
      if (isShort && isLong) continue;
      await step(name, () => run({ client, key: "walk", vm, connection }));
    }
    const writer = new Writer(client.vm.getOrCreate("written"));
    await step("a VM takes writes", () => writer.moved());
    for (const [name, disturb] of DISTURBANCES) {
      await step(name, async () => {
        const server = (await placeOf(fleet, client.vm.get("written"))) ?? fleet.servers[0]!;
        await disturb(fleet, server, writer);
        await writer.moved();
      });
    }
    await step("every acknowledged write is there", () => writer.check());
    await step("the walked VM still has its files", async () => {
      assert.equal((await vm.exec("cat /workspace/version")).stdout, "one");
    });
    return rows;
  } finally {
    await fleet.machines.end();
  }
}

/** Failures, and what must hold after each: the VM takes writes again. `server` has the VM. */
const DISTURBANCES: readonly (readonly [
  name: string,
  run: (fleet: Fleet, server: Server, writer: Writer) => Promise<void>,
])[] = [
  [
    "fails over: SIGKILL of the server with the VM",
    async (_fleet, { program }) => {
      program.process.kill("SIGKILL");
      await program.exited;
    },
  ],
  ["the killed server is back", async (fleet) => await restartEnded(fleet)],
  [
    "drains: agent-vm drain of the server with the VM",
    async (fleet, server) => {
      const { code, stderr } = await runProgram([AGENT_VM_PROGRAM, "drain"], {
        env: fleet.administration(server),
      });
      assert.equal(code, 0, stderr);
      assert.equal(await server.program.exited, 0);
    },
  ],
  ["the drained server is back", async (fleet) => await restartEnded(fleet)],
  [
    "partition: the server with the VM loses its cable, and gets it back",
    async (_fleet, { machine }, writer) => {
      machine.cable("down");
      try {
        // The other server has the VM by then.
        await writer.moved();
      } finally {
        machine.cable("up");
      }
    },
  ],
  [
    "partition: the server with the VM loses the engine alone, and gets it back",
    async (fleet, { machine, endpoint }, writer) => {
      const isReady = async () => (await fetch(`${endpoint}/health/ready`)).ok;
      machine.path(fleet.engineMachine, "down");
      try {
        // The front still reaches the server, which says that it does not have the VM any more.
        while (await isReady()) await delay(100);
        await writer.moved();
      } finally {
        machine.path(fleet.engineMachine, "up");
      }
      while (!(await isReady())) await delay(100);
    },
  ],
  [
    "the engine is killed and starts again",
    async (fleet) => {
      await fleet.killEngine();
      await fleet.startEngine();
    },
  ],
];

async function restartEnded(fleet: Fleet): Promise<void> {
  for (const server of fleet.servers)
    if (server.program.process.exitCode !== null || server.program.process.signalCode !== null)
      await fleet.restart(server);
}

/** Finds the server that has a VM, by a program of the VM that runs there. */
async function placeOf(fleet: Fleet, vm: VmHandle): Promise<Server | undefined> {
  const mark = `place-${crypto.randomUUID()}`;
  const { pid } = await vm.spawn("sh", ["-c", "sleep 1000; :", mark]);
  while (marked(mark).length === 0) await delay(20);
  const parents = ancestorsOf(marked(mark)[0] ?? "");
  await vm.killProcess(pid);
  return fleet.servers.find(({ program }) => parents.includes(Number(program.process.pid)));
}

/** Returns the pids of a host process and of its parents. */
function ancestorsOf(pid: string): number[] {
  const pids: number[] = [];
  for (let next = pid; Number(next) > 1; ) {
    pids.push(Number(next));
    next = /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${next}/status`, "utf8"))?.[1] ?? "0";
  }
  return pids;
}

/** Counts in a file of a VM. */
class Writer {
  readonly #vm: VmHandle;
  #acknowledged = 0;
  #isOver = false;
  readonly #writing: Promise<void>;

  constructor(vm: VmHandle) {
    this.#vm = vm;
    this.#writing = this.#write();
  }

  async #write(): Promise<void> {
    while (!this.#isOver) {
      const next = this.#acknowledged + 1;
      const isDone = await this.#vm.writeFile("/workspace/counter", String(next)).then(
        () => true,
        () => false,
      );
      if (isDone) this.#acknowledged = next;
      await delay(isDone ? 20 : 100);
    }
  }

  /** Resolves when the VM has taken three more writes. The first of them may have been on its way. */
  async moved(): Promise<void> {
    const before = this.#acknowledged;
    while (this.#acknowledged < before + 3) await delay(20);
  }

  async check(): Promise<void> {
    this.#isOver = true;
    await this.#writing;
    const found = Number(Buffer.from(await this.#vm.readFile("/workspace/counter")).toString());
    assert(found >= this.#acknowledged, `found ${found}, acknowledged ${this.#acknowledged}`);
  }
}

async function limited(work: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  const late = delay(STEP_TIMEOUT_MS, undefined, timer).then(
    () => {
      throw new Error(`Not done within ${STEP_TIMEOUT_MS} ms`);
    },
    () => undefined,
  );
  try {
    await Promise.race([work, late]);
  } finally {
    timer.abort();
  }
}

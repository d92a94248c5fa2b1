// @module-tag slow
import { describe, expect, test } from "vitest";
import { AgentVmError } from "../../../src/api/errors.ts";
import { vmOptionsSchema } from "../../../src/runtime/options.ts";
import { entryBytes, MemoryStore, type Store, type StoreEntry } from "../../../src/runtime/store/store.ts";
import { assembleVm, type Vm } from "../../../src/runtime/vm.ts";
import { openShared } from "../../../src/runtime/vm-shared.ts";
import { type Fault, faultyStore } from "../../support/faulty-store.ts";
import { seededRandom } from "../../support/random.ts";
import { faultsOfStoredTrees } from "../../support/stored-trees.ts";

const options = vmOptionsSchema.parse({ runtime: "memory" });
const shared = openShared(options);
const hooks = { emit: () => undefined, keepAwake: () => undefined };

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Content that does not compress and has several chunks. */
const noise = (seed: number, bytes: number): string => {
  const random = seededRandom(seed);
  return Buffer.from(Uint8Array.from({ length: bytes }, () => random.below(256))).toString("base64");
};

/** A VM over several sleeps and wakes. */
class Machine {
  readonly #store: Store;
  vm: Vm;

  constructor(store: Store) {
    this.#store = store;
    this.vm = assembleVm(shared, hooks, { store });
  }

  async sleep(): Promise<void> {
    const { vm } = this;
    this.vm = assembleVm(shared, hooks, { store: this.#store });
    await vm.dispose("sleep");
  }

  /** The durable state of a VM: files with their content, directories, names of snapshots, ports of previews. */
  async state(): Promise<State> {
    const state: State = {};
    for (const { path, type } of await this.vm.readdirRecursive("/workspace")) {
      state[path] = type === "directory" ? null : text(await this.vm.readFile(path));
    }
    for (const { name } of await this.vm.listSnapshots()) state[`snapshot ${name}`] = null;
    for (const { port } of await this.vm.listPreviews()) state[`preview ${port}`] = null;
    return state;
  }
}

type State = Record<string, string | null>;

interface Step {
  run(machine: Machine): Promise<unknown>;
  /** Applies the step to the expected state. */
  makes(state: State): State;
}

const without = (state: State, ...tops: string[]): State =>
  Object.fromEntries(
    Object.entries(state).filter(([path]) => !tops.some((top) => path === top || path.startsWith(`${top}/`))),
  );

const write = (path: string, content: string, parents: State = {}): Step => ({
  run: ({ vm }) => vm.writeFile(path, content),
  makes: (state) => ({ ...state, ...parents, [path]: content }),
});

const checkpoint: Step = { run: ({ vm }) => vm.checkpoint(), makes: (state) => state };
const sleep: Step = { run: (machine) => machine.sleep(), makes: (state) => state };
const wake: Step = { run: (machine) => machine.state(), makes: (state) => state };

const remove = (path: string): Step => ({
  run: ({ vm }) => vm.delete(path, { recursive: true }),
  makes: (state) => without(state, path),
});

const BIG = noise(1, 100_000);
/** More bytes than a journal record takes. */
const HUGE = noise(2, 800_000);

let previewToken = "";

/** A sleeping VM with files, an older snapshot and a preview. */
async function prepare(): Promise<MemoryStore> {
  const store = new MemoryStore();
  const machine = new Machine(store);
  const { vm } = machine;
  await vm.writeFile("/workspace/a", "one");
  await vm.writeFile("/workspace/big", BIG);
  await vm.writeFile("/workspace/dir/x", noise(3, 40_000));
  await vm.writeFile("/workspace/dir/y", "y");
  await vm.createSnapshot("old");
  await vm.writeFile("/workspace/a", "two");
  await vm.delete("/workspace/dir/y");
  previewToken = (await vm.createPreview(8080)).token;
  await machine.sleep();
  await machine.vm.writeFile("/workspace/dir/z", "after the sleep");
  await machine.vm.dispose("destroy");
  return store;
}

const OLD: State = {
  "/workspace/a": "one",
  "/workspace/big": BIG,
  "/workspace/dir": null,
  "/workspace/dir/x": noise(3, 40_000),
  "/workspace/dir/y": "y",
};

const ofOldFiles = (state: State): State => ({ ...without(state, "/workspace"), ...OLD });

const idOf = async ({ vm }: Machine, name: string): Promise<string> =>
  (await vm.listSnapshots()).find((snapshot) => snapshot.name === name)?.id ?? "";

const undoAll = (name: string): Step => ({
  async run(machine) {
    const [result] = await machine.vm.undo(["/workspace"], await idOf(machine, name));
    if (result?.error !== undefined) throw new AgentVmError("storage_failed", result.error);
  },
  makes: ofOldFiles,
});

const JOURNEYS: Record<string, Step[]> = {
  "a wake": [wake, write("/workspace/new", "new"), sleep, wake],
  "file actions": [
    wake,
    write("/workspace/a", "three"),
    write("/workspace/deep/er/f", "f", { "/workspace/deep": null, "/workspace/deep/er": null }),
    {
      run: ({ vm }) => vm.mkdir("/workspace/made/here", { recursive: true }),
      makes: (state) => ({ ...state, "/workspace/made": null, "/workspace/made/here": null }),
    },
    {
      run: ({ vm }) => vm.mkdir("/workspace/made/here/alone"),
      makes: (state) => ({ ...state, "/workspace/made/here/alone": null }),
    },
    {
      run: ({ vm }) => vm.move("/workspace/a", "/workspace/made/b"),
      makes: (state) => ({
        ...without(state, "/workspace/a"),
        "/workspace/made/b": state["/workspace/a"] ?? "",
      }),
    },
    remove("/workspace/dir"),
    {
      run: async ({ vm }) => {
        const results = await vm.writeFiles(
          ["p", "q", "r"].map((name) => ({ path: `/workspace/${name}`, content: name })),
        );
        const failed = results.find(({ success }) => !success);
        if (failed !== undefined) throw new AgentVmError("storage_failed", failed.error ?? "");
      },
      makes: (state) => ({ ...state, "/workspace/p": "p", "/workspace/q": "q", "/workspace/r": "r" }),
    },
    {
      run: async ({ vm }) => {
        const { transferId } = await vm.beginFileWrite("/workspace/piece", 3);
        await vm.writeFileChunk(transferId, 0, new Uint8Array([65, 66, 67]));
        await vm.commitFileWrite(transferId);
      },
      makes: (state) => ({ ...state, "/workspace/piece": "ABC" }),
    },
    write("/workspace/huge", HUGE),
  ],
  "file actions during a checkpoint": [
    wake,
    {
      run: ({ vm }) =>
        Promise.all([
          vm.writeFile("/workspace/a", "three"),
          vm.checkpoint(),
          vm.mkdir("/workspace/made", { recursive: true }),
          vm.writeFile("/workspace/big", "small now"),
        ]),
      makes: (state) => ({
        ...state,
        "/workspace/a": "three",
        "/workspace/made": null,
        "/workspace/big": "small now",
      }),
    },
    write("/workspace/made/f", "f"),
  ],
  checkpoints: [
    wake,
    write("/workspace/a", "three"),
    checkpoint,
    remove("/workspace/big"),
    write("/workspace/other", noise(4, 60_000)),
    checkpoint,
    write("/workspace/big", BIG),
    checkpoint,
  ],
  snapshots: [
    wake,
    {
      run: ({ vm }) => vm.createSnapshot("new"),
      makes: (state) => ({ ...state, "snapshot new": null }),
    },
    remove("/workspace/dir"),
    {
      run: async (machine) => machine.vm.restoreSnapshot(await idOf(machine, "old")),
      makes: ofOldFiles,
    },
    write("/workspace/a", "four"),
    {
      run: async (machine) => machine.vm.deleteSnapshot(await idOf(machine, "old")),
      makes: (state) => without(state, "snapshot old"),
    },
    checkpoint,
    {
      run: async (machine) => machine.vm.deleteSnapshot(await idOf(machine, "new")),
      makes: (state) => without(state, "snapshot new"),
    },
    sleep,
  ],
  "diff and undo": [
    wake,
    remove("/workspace/dir"),
    { run: async (machine) => machine.vm.diff(await idOf(machine, "old")), makes: (state) => state },
    undoAll("old"),
    {
      run: ({ vm }) => vm.mkdir("/workspace/dir/after"),
      makes: (state) => ({ ...state, "/workspace/dir/after": null }),
    },
  ],
  previews: [
    wake,
    {
      run: ({ vm }) => vm.createPreview(9090),
      makes: (state) => ({ ...state, "preview 9090": null }),
    },
    {
      run: ({ vm }) => vm.expireSignedPreviewUrl(previewToken),
      makes: (state) => without(state, "preview 8080"),
    },
    sleep,
    wake,
  ],
};

/** Errors of a second attempt if the first attempt made the change but could not store it. */
const ALREADY_DONE = ["ENOENT", "EEXIST", "snapshot_not_found"];

const codeOf = (error: unknown): string | undefined =>
  error instanceof AgentVmError ? error.code : undefined;

/** Expects each path of a step to be as before the step or as after it. */
function expectBetween(found: State, before: State, after: State): void {
  for (const path of new Set([...Object.keys(before), ...Object.keys(after), ...Object.keys(found)])) {
    if (found[path] !== before[path]) expect(found[path], path).toBe(after[path]);
  }
}

/** Runs a journey on a copy of a store. Each fault must be reported, and a retry must work. @returns the called methods */
async function travel(
  entries: readonly StoreEntry[],
  { steps, initial }: Journey,
  fault: (call: number) => Fault,
  isForEver = false,
): Promise<string[]> {
  const store = await copyOf(entries);
  const methods: string[] = [];
  const faulty = faultyStore(store, (call, method) => {
    methods.push(method);
    return fault(call);
  });
  const died = faulty.died.then(() => "died" as const);
  const machine = new Machine(faulty);
  let state = initial;
  let last = initial;
  let hasFailed = false;
  for (const step of steps) {
    if (!hasFailed) last = step.makes(state);
    const outcome = await Promise.race([attempt(step, machine, hasFailed), died]);
    if (outcome === "died") break;
    if (outcome === "failed") {
      hasFailed ||= isForEver;
      if (!isForEver) {
        expectBetween(await machine.state(), state, last);
        await step.run(machine).catch((error: unknown) => {
          if (!ALREADY_DONE.includes(codeOf(error) ?? "")) throw error;
        });
        await machine.vm.checkpoint();
        expect(await machine.state()).toEqual(last);
      }
    }
    if (!hasFailed) state = last;
  }
  await machine.vm.dispose("destroy");
  await expectWhole(store, (found) => expectBetween(found, state, last));
  return methods;
}

/** Expects that a caller gets `storage_failed`. */
async function attempt(step: Step, machine: Machine, hasFailed: boolean): Promise<"done" | "failed"> {
  try {
    await step.run(machine);
    return "done";
  } catch (error) {
    const code = codeOf(error) ?? "";
    if (code !== "storage_failed" && !(hasFailed && ALREADY_DONE.includes(code))) throw error;
    return "failed";
  }
}

/** Wakes a VM over the store of a dead server. Nothing may be torn or left over. */
async function expectWhole(store: Store, check: (found: State) => void): Promise<void> {
  const next = new Machine(store);
  const found = await next.state();
  check(found);
  await next.vm.checkpoint();
  expect(await next.state()).toEqual(found);
  expect(await faultsOfStoredTrees(store)).toEqual([]);
  await next.vm.dispose("destroy");
}

async function copyOf(entries: readonly StoreEntry[]): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (const entry of entries) await store.put([entry]);
  return store;
}

interface Journey {
  steps: readonly Step[];
  initial: State;
}

const prepared = prepare();

async function begin(): Promise<{ entries: StoreEntry[]; initial: State }> {
  const store = await prepared;
  const machine = new Machine(store);
  const initial = await machine.state();
  await machine.vm.dispose("destroy");
  return { entries: await store.list(""), initial };
}

/** Faults of a call. A call that only reads has fewer. */
const FAULTS: Record<string, Fault[]> = {
  get: ["error"],
  list: ["error"],
  put: ["error", "lost", "death"],
  delete: ["error", "lost", "part", "death"],
  deleteRange: ["error", "lost", "part", "death"],
};

const told = (where: string) => (error: unknown) => {
  throw new Error(`${where}: ${error instanceof Error ? error.stack : error}`);
};

describe("a fault of storage at any call is reported and loses nothing, and the next attempt works", () => {
  test.each(Object.entries(JOURNEYS))(
    "%s",
    async (name, steps) => {
      const { entries, initial } = await begin();
      const journey = { steps, initial };
      const methods = await travel(entries, journey, () => "none");
      await travel(entries, journey, () => "slow");
      // The first wake is a separate journey.
      const first =
        name === "a wake" ? 0 : (await travel(entries, { steps: [wake], initial }, () => "none")).length;
      for (let at = first; at < methods.length; at++) {
        const method = methods[at] ?? "";
        const each = (FAULTS[method] ?? []).map((kind) =>
          travel(entries, journey, (call) => (call === at ? kind : "none")).catch(
            told(`${kind} at call ${at} of ${methods.length}, ${method}`),
          ),
        );
        const forEver = travel(entries, journey, (call) => (call >= at ? "error" : "none"), true).catch(
          told(`errors from call ${at} of ${methods.length} on, ${method}`),
        );
        await Promise.all([...each, forEver]);
      }
    },
    60_000,
  );

  test("one slow call does not stop the others", async () => {
    const { entries, initial } = await begin();
    const journey = { steps: JOURNEYS["file actions during a checkpoint"] ?? [], initial };
    const methods = await travel(entries, journey, () => "none");
    for (const at of methods.keys()) {
      await travel(entries, journey, (call) => (call === at ? "slow" : "none")).catch(told(`call ${at}`));
    }
  });
});

test("a store with small batches keeps small files and reports the others", async () => {
  const inner = new MemoryStore();
  const machine = new Machine({
    ...faultyStore(inner, () => "none"),
    async put(entries) {
      if (entries.reduce((sum, entry) => sum + entryBytes(entry), 0) > 32 * 1024) throw new Error("too much");
      await inner.put(entries);
    },
  });
  await machine.vm.writeFile("/workspace/small", "small");
  for (const size of [100_000, 1_000_000]) {
    await expect(machine.vm.writeFile("/workspace/large", noise(5, size))).rejects.toMatchObject({
      code: "storage_failed",
    });
  }
  await expect(machine.vm.checkpoint()).rejects.toMatchObject({ code: "storage_failed" });
  await machine.vm.delete("/workspace/large");
  await machine.vm.writeFile("/workspace/small too", "small too");
  await machine.vm.dispose("destroy");
  await expectWhole(inner, (found) =>
    expect(found).toEqual({ "/workspace/small": "small", "/workspace/small too": "small too" }),
  );
});

test("after a failed commit or a lost answer, the server's death does no harm", async () => {
  const store = new MemoryStore();
  const machine = new Machine(store);
  await machine.vm.writeFile("/workspace/a", "one");
  await machine.vm.createSnapshot("latest");
  await machine.vm.dispose("sleep");
  const entries = await store.list("");
  const steps = [
    write("/workspace/n", "new"),
    checkpoint,
    undoAll("latest"),
    write("/workspace/a", "5"),
    sleep,
  ];
  const { methods, commits } = await goOn(() => "none");
  for (const [kind, failing] of ["error", "lost"].flatMap((fault) =>
    commits.map((call) => [fault, call] as const),
  )) {
    for (let lethal = failing + 1; lethal < methods + 4; lethal++) {
      const fault = (call: number) =>
        call === failing ? (kind as Fault) : call === lethal ? "death" : "none";
      await goOn(fault).catch(told(`${kind} at call ${failing}, death at call ${lethal}`));
    }
  }

  /** Runs a journey without retries. @returns the number of calls, and the calls that put a head */
  async function goOn(fault: (call: number) => Fault): Promise<{ methods: number; commits: number[] }> {
    const copy = await copyOf(entries);
    const puts: number[] = [];
    const faulty = faultyStore(copy, fault);
    const living = new Machine({
      ...faulty,
      put(batch) {
        if (batch.some(([key]) => key === "fs/head")) puts.push(faulty.calls);
        return faulty.put(batch);
      },
    });
    for (const step of steps) {
      const outcome = await Promise.race([attempt(step, living, true), faulty.died.then(() => "died")]);
      if (outcome === "died") break;
    }
    await living.vm.dispose("destroy");
    await expectWhole(copy, (found) => expect(["one", "5"]).toContain(found["/workspace/a"]));
    return { methods: faulty.calls, commits: puts };
  }
});

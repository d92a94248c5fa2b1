// @module-tag slow
import { describe, expect, test } from "vitest";
import { vmOptionsSchema } from "../../../src/runtime/options.ts";
import { MemoryStore, type Store } from "../../../src/runtime/store/store.ts";
import { assembleVm, type Vm } from "../../../src/runtime/vm.ts";
import { openShared } from "../../../src/runtime/vm-shared.ts";
import { faultyStore } from "../../support/faulty-store.ts";
import { seededRandom } from "../../support/random.ts";
import { startVm } from "../../support/vm.ts";

const ROUNDS = 25;
const ACTIONS_A_ROUND = 30;

/** The model of the file methods' changes: content by path, `null` for a directory. */
type Model = Map<string, string | null>;

const bootOver = (store: Store) => startVm({}, undefined, { store }).vm;

/** One random change through the API, in the VM and in the model. */
function change(vm: Vm, model: Model, random: ReturnType<typeof seededRandom>): [Promise<unknown>, Model] {
  const after: Model = new Map(model);
  const file = () => `/workspace/api/d${random.below(3)}/f${random.below(6)}`;
  const path = file();
  const directory = path.slice(0, path.lastIndexOf("/"));
  const files = [...model.keys()].filter((known) => model.get(known) !== null);
  const some = files[random.below(files.length)];
  switch (random.below(some === undefined ? 2 : 5)) {
    case 0:
    case 1: {
      const content =
        "x".repeat(random.below(3) === 0 ? random.below(300_000) : random.below(200)) + random.next();
      after.set(directory, null).set(path, content);
      return [vm.writeFile(path, content), after];
    }
    case 2:
      after.delete(some as string);
      return [vm.delete(some as string), after];
    case 3: {
      if (!model.has(directory)) {
        after.set(directory, null);
        return [vm.mkdir(directory, { recursive: true }), after];
      }
      after.set(path, model.get(some as string) ?? "");
      if (path !== some) after.delete(some as string);
      return [vm.move(some as string, path), after];
    }
    default: {
      const distinct = new Set([file(), file(), file()]);
      const entries = [...distinct].map((to) => ({ path: to, content: String(random.next()) }));
      for (const { path: to, content } of entries)
        after.set(to.slice(0, to.lastIndexOf("/")), null).set(to, content);
      return [vm.writeFiles(entries), after];
    }
  }
}

/** The tree below /workspace/api. */
async function observe(vm: Vm): Promise<Model> {
  const found: Model = new Map();
  if (!(await vm.exists("/workspace/api"))) return found;
  for (const { path, type } of await vm.readdirRecursive("/workspace/api")) {
    found.set(path, type === "directory" ? null : new TextDecoder().decode(await vm.readFile(path)));
  }
  return found;
}

const sorted = (model: Model) => [...model].sort(([a], [b]) => (a < b ? -1 : 1));

/** After a crash in writeFiles each path is as before the call or as after it. */
function isBetween(found: Model, before: Model, after: Model): boolean {
  const paths = new Set([...before.keys(), ...after.keys(), ...found.keys()]);
  return [...paths].every((path) => {
    const value = found.get(path);
    return value === before.get(path) || value === after.get(path);
  });
}

describe("after the server's death at any instant", () => {
  test(`acknowledged changes are there, and files are whole, in ${ROUNDS} rounds`, async () => {
    const store = new MemoryStore();
    let model: Model = new Map();
    let written = 0;
    let kept = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const random = seededRandom(round);
      // The server dies after some calls of the store.
      const lethal = 8 + random.below(60);
      const faulty = faultyStore(store, (call) => (call === lethal ? "death" : "none"));
      const vm = bootOver(faulty);
      const died = faulty.died.then(() => "died" as const);
      let last: Model = model;
      // Files that processes have written in this life, or that the last life had stored.
      let living = kept;
      for (let step = 0; step < ACTIONS_A_ROUND; step++) {
        let work: Promise<unknown>;
        let commits = false;
        const kind = random.below(8);
        if (kind === 0) {
          written += 1;
          const line = `for i in 0 1 2 3; do printf '%s' ${written} > /workspace/own-$i; done`;
          work = vm.exec(line);
        } else if (kind === 1) {
          work = vm.checkpoint();
          commits = true;
        } else [work, last] = change(vm, model, random);
        const outcome = await Promise.race([work.then(() => "done" as const), died]);
        if (outcome === "died") break;
        model = last;
        if (kind === 0) living = written;
        if (commits) kept = living;
      }
      await vm.dispose("destroy");
      const next = bootOver(store);
      const found = await observe(next);
      if (!isBetween(found, model, last)) expect(sorted(found)).toEqual(sorted(model));
      model = found;
      for (const index of [0, 1, 2, 3]) {
        const path = `/workspace/own-${index}`;
        const value = (await next.exists(path))
          ? Number(new TextDecoder().decode(await next.readFile(path)))
          : 0;
        expect(value).toBeGreaterThanOrEqual(kept);
        expect(value).toBeLessThanOrEqual(written);
      }
      await next.dispose("destroy");
    }
  });

  test("after a death at any call of a checkpoint, the VM has the files before or after it", async () => {
    for (let lethal = 0; ; lethal++) {
      const store = new MemoryStore();
      const first = bootOver(store);
      await first.writeFile("/workspace/a", "one");
      await first.exec("seq 1 20000 > /workspace/big; ln /workspace/a /workspace/b");
      await first.checkpoint();
      await first.dispose("destroy");

      let armed = Number.POSITIVE_INFINITY;
      const faulty = faultyStore(store, (call) => (call >= armed ? "death" : "none"));
      const vm = bootOver(faulty);
      await vm.exec("echo two > /workspace/a; rm /workspace/big; seq 1 30000 > /workspace/other");
      armed = faulty.calls + lethal;
      const outcome = await Promise.race([
        vm.checkpoint().then(() => "done"),
        faulty.died.then(() => "died"),
      ]);
      await vm.dispose("destroy");
      const next = bootOver(store);
      const { stdout } = await next.exec("cat a b; ls; cat big other 2>/dev/null | wc -l", {
        cwd: "/workspace",
      });
      const before = "oneonea\nb\nbig\n20000\n";
      const after = "two\ntwo\na\nb\nother\n30000\n";
      if (outcome === "done") expect(stdout).toBe(after);
      else expect([before, after]).toContain(stdout);
      // Records of the dead server do not add up.
      await next.exec("rm -f /workspace/*");
      await next.checkpoint();
      await next.checkpoint();
      const packs = await store.list("fs/pack/");
      expect(packs.reduce((sum, [, value]) => sum + value.byteLength, 0)).toBeLessThan(20_000);
      expect(await store.list("fs/garbage/")).toEqual([]);
      await next.dispose("destroy");
      if (outcome === "done") return;
    }
  });
});

describe("a store that fails", () => {
  test("a failure at any call is reported, and no acknowledged change is lost", async () => {
    for (let failing = 0; failing < 12; failing++) {
      const store = new MemoryStore();
      let armed = Number.POSITIVE_INFINITY;
      const faulty = faultyStore(store, (call) => (call === armed ? "error" : "none"));
      const vm = bootOver(faulty);
      await vm.writeFile("/workspace/first", "1");
      armed = faulty.calls + failing;
      const acknowledged: string[] = ["first"];
      for (const name of ["a", "b", "c"]) {
        try {
          await vm.writeFile(`/workspace/${name}`, name);
          acknowledged.push(name);
          await vm.checkpoint();
        } catch (error) {
          expect(String(error)).toMatch(/failed|could not be stored/);
        }
      }
      await vm.dispose("destroy");
      const next = bootOver(store);
      expect(await next.readdir("/workspace")).toEqual(expect.arrayContaining(acknowledged));
      await next.dispose("destroy");
    }
  });

  test("after a failure at any call of a checkpoint, the next commit is whole", async () => {
    for (let failing = 0; failing < 14; failing++) {
      const store = new MemoryStore();
      let armed = Number.POSITIVE_INFINITY;
      const faulty = faultyStore(store, (call) => (call === armed ? "error" : "none"));
      const vm = bootOver(faulty);
      await vm.exec("echo one > /workspace/a");
      const { id } = await vm.createSnapshot();
      await vm.exec("echo two > /workspace/a; echo more > /workspace/b");
      armed = faulty.calls + failing;
      await vm.checkpoint().catch((error: unknown) => expect(String(error)).toContain("failed"));
      armed = Number.POSITIVE_INFINITY;
      await vm.deleteSnapshot(id);
      await vm.dispose("destroy");
      const next = bootOver(store);
      const { stdout } = await next.exec("cat a b 2>/dev/null", { cwd: "/workspace" });
      expect(["one\n", "two\nmore\n"], `call ${failing}`).toContain(stdout);
      await next.dispose("destroy");
    }
  });

  test("a failure of the last checkpoint at sleep is reported, and the VM ends all the same", async () => {
    let broken = false;
    const options = vmOptionsSchema.parse({});
    const store = faultyStore(new MemoryStore(), () => (broken ? "error" : "none"));
    const hooks = { emit: () => undefined, keepAwake: () => undefined };
    const vm = assembleVm(openShared(options), hooks, { store });
    await vm.exec("echo 1 > /workspace/x");
    broken = true;
    await expect(vm.dispose("sleep")).rejects.toThrow("failed");
    await expect(vm.exec("echo")).rejects.toMatchObject({ code: "vm_stopped" });
  });
});

import { expect } from "vitest";
import type { VmRunOptions } from "../../src/runtime/hooks.ts";
import type { VmOptionsInput } from "../../src/runtime/options.ts";
import { MemoryStore, type Store } from "../../src/runtime/store/store.ts";
import type { Vm } from "../../src/runtime/vm.ts";
import { startVm, type TestVm } from "./vm.ts";

export interface DurableVm {
  store: Store;
  /** Returns the running VM, or starts a VM over the same store. */
  vm(): Vm;
  /** Returns the VM like `vm`, together with its recorded events. */
  test(): TestVm;
  /** Puts the VM to sleep. The next call of `vm` wakes it. */
  sleep(): Promise<void>;
  /** Ends the VM without a last checkpoint, as if the server were killed. */
  crash(): Promise<void>;
}

/** Makes a VM that can sleep, crash and start again over its store. */
export function durableVm(
  options: VmOptionsInput = {},
  store: Store = new MemoryStore(),
  run: Pick<VmRunOptions, "isStoreShared"> = {},
): DurableVm {
  let current: TestVm | undefined;
  /** Closed by `crash`: calls to the store of a dead server never return. */
  let gate = { open: true };
  const start = () => {
    const mine = { open: true };
    gate = mine;
    const dead = () => new Promise<never>(() => undefined);
    const gated: Store = {
      get: (keys) => (mine.open ? store.get(keys) : dead()),
      put: (entries) => (mine.open ? store.put(entries) : dead()),
      delete: (keys) => (mine.open ? store.delete(keys) : dead()),
      deleteRange: (from, to) => (mine.open ? store.deleteRange(from, to) : dead()),
      list: (prefix, listOptions) => (mine.open ? store.list(prefix, listOptions) : dead()),
    };
    return startVm(options, undefined, { ...run, store: gated });
  };
  const test = () => {
    current ??= start();
    return current;
  };
  return {
    store,
    vm: () => test().vm,
    test,
    async sleep() {
      const last = current;
      current = undefined;
      await last?.vm.dispose("sleep");
    },
    async crash() {
      gate.open = false;
      const last = current;
      current = undefined;
      await last?.vm.dispose("destroy");
    },
  };
}

/** Runs a shell line in /workspace that writes nothing to stderr. @returns its output */
export async function run(vm: Vm, line: string): Promise<string> {
  const { stdout, stderr } = await vm.exec(line, { cwd: "/workspace" });
  expect(stderr).toBe("");
  return stdout;
}

import { afterAll, beforeAll, expect, onTestFinished } from "vitest";
import type { VmEventName, VmEvents } from "../../src/api/events.ts";
import type { VmHooks, VmRunOptions } from "../../src/runtime/hooks.ts";
import { type VmOptions, type VmOptionsInput, vmOptionsSchema } from "../../src/runtime/options.ts";
import type { SandboxFactory } from "../../src/runtime/sandbox/sandbox.ts";
import { assembleVm, type Vm } from "../../src/runtime/vm.ts";
import { openShared, type VmShared } from "../../src/runtime/vm-shared.ts";
import { until } from "./until.ts";

type RecordedEvent = { [Name in VmEventName]: { name: Name; payload: VmEvents[Name] } }[VmEventName];

export interface TestVm {
  vm: Vm;
  /** All events of the VM, in order. */
  events: RecordedEvent[];
  /** Resolves with the first event that fits, past or future. */
  event<Name extends VmEventName>(
    name: Name,
    fits?: (payload: VmEvents[Name]) => boolean,
  ): Promise<VmEvents[Name]>;
  /** Output of a process so far. */
  output(pid: number, stream?: "stdout" | "stderr"): string;
  /** Resolves when the output of a process contains a text. */
  outputHas(pid: number, text: string, stream?: "stdout" | "stderr"): Promise<void>;
  /** Output of a shell so far, without the switches for bracketed paste that bash puts around its prompt. */
  screen(shellId: string): string;
  screenHas(shellId: string, text: string | RegExp): Promise<string>;
}

/** Starts a VM without a server. It is disposed when the test ends. */
export function startVm(
  input: VmOptionsInput = {},
  createFactory?: (options: VmOptions) => SandboxFactory,
  run: VmRunOptions = {},
  hooks: Partial<VmHooks> = {},
): TestVm {
  const options = vmOptionsSchema.parse(input);
  const machine = makeVm(
    openShared(options, createFactory && { sandboxFactory: createFactory(options) }),
    run,
    hooks,
  );
  onTestFinished(() => machine.vm.dispose("destroy"));
  return machine;
}

/** Starts a VM without a server, whose sandbox was booted ahead. It is disposed when the test ends. */
export async function startPooledVm(input: VmOptionsInput = {}): Promise<TestVm> {
  const shared = openShared(vmOptionsSchema.parse({ ...input, pool: { size: 1 } }));
  const { pool } = shared;
  pool?.open({ places: () => 1, onFailure: () => undefined });
  await until(() => pool?.tally.waiting === 1);
  const machine = makeVm(shared, {});
  await machine.vm.exec("true");
  expect(pool?.tally.hits).toBe(1);
  await pool?.drain();
  onTestFinished(() => machine.vm.dispose("destroy"));
  return machine;
}

/** Makes one VM for all tests of a file. Each test must leave it as it was. @returns the VM, once tests run */
export function fileVm(input: VmOptionsInput = {}): () => TestVm {
  let machine: TestVm | undefined;
  beforeAll(() => {
    machine = makeVm(openShared(vmOptionsSchema.parse(input)), {});
  });
  afterAll(() => machine?.vm.dispose("destroy"));
  return () => machine as TestVm;
}

function makeVm(shared: VmShared, run: VmRunOptions, hooks: Partial<VmHooks> = {}): TestVm {
  const events: RecordedEvent[] = [];
  const watchers = new Set<() => void>();
  const vm = assembleVm(
    shared,
    {
      emit: (name, payload) => {
        events.push({ name, payload } as RecordedEvent);
        for (const watcher of [...watchers]) watcher();
      },
      keepAwake: () => undefined,
      ...hooks,
    },
    run,
  );

  const once = <Found>(look: () => Found | undefined | false): Promise<Found> =>
    new Promise((resolve) => {
      const watcher = () => {
        const found = look();
        if (!found) return;
        watchers.delete(watcher);
        resolve(found);
      };
      watchers.add(watcher);
      watcher();
    });

  const payloads = <Name extends VmEventName>(name: Name): VmEvents[Name][] =>
    events.filter((event) => event.name === name).map((event) => event.payload as VmEvents[Name]);

  const output: TestVm["output"] = (pid, stream = "stdout") =>
    decode(payloads("processOutput").filter((chunk) => chunk.pid === pid && chunk.stream === stream));

  const screen: TestVm["screen"] = (shellId) =>
    decode(payloads("shellData").filter((chunk) => chunk.shellId === shellId)).replaceAll(
      BRACKETED_PASTE,
      "",
    );

  return {
    vm,
    events,
    event: (name, fits = () => true) => once(() => payloads(name).find(fits)),
    output,
    outputHas: async (pid, text, stream) => {
      await once(() => output(pid, stream).includes(text));
    },
    screen,
    screenHas: (shellId, text) => once(() => matches(screen(shellId), text) && screen(shellId)),
  };
}

const BRACKETED_PASTE = new RegExp(`${String.fromCharCode(27)}\\[\\?2004[hl]\\r?`, "g");

function decode(chunks: { data: Uint8Array }[]): string {
  return Buffer.concat(chunks.map(({ data }) => data)).toString("utf8");
}

function matches(text: string, wanted: string | RegExp): boolean {
  return typeof wanted === "string" ? text.includes(wanted) : wanted.test(text);
}

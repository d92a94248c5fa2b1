import { onTestFinished } from "vitest";
import type { VmEventName, VmEvents } from "../../src/api/events.ts";
import { type VmOptions, type VmOptionsInput, vmOptionsSchema } from "../../src/runtime/options.ts";
import type { SandboxFactory } from "../../src/runtime/sandbox/sandbox.ts";
import { assembleVm, type Vm, type VmSettings } from "../../src/runtime/vm.ts";
import { vmSandbox } from "../../src/runtime/vm-sandbox.ts";

export type RecordedEvent = { [Name in VmEventName]: { name: Name; payload: VmEvents[Name] } }[VmEventName];

export interface TestVm {
  vm: Vm;
  /** Everything that the VM has sent, in order. */
  events: RecordedEvent[];
  /** The first event, past or to come, that fits. */
  event<Name extends VmEventName>(
    name: Name,
    fits?: (payload: VmEvents[Name]) => boolean,
  ): Promise<VmEvents[Name]>;
  /** Output of a process so far. */
  output(pid: number, stream?: "stdout" | "stderr"): string;
  /** Resolves when a process has written a text. */
  outputHas(pid: number, text: string, stream?: "stdout" | "stderr"): Promise<void>;
  /** Output of a shell so far, without the switches for bracketed paste that bash puts around its prompt. */
  screen(shellId: string): string;
  screenHas(shellId: string, text: string | RegExp): Promise<string>;
}

/** A VM on the bare runtime, disposed when the test ends. */
export function startVm(
  input: VmOptionsInput = {},
  createFactory: (options: VmOptions) => SandboxFactory = vmSandbox,
  settings: VmSettings = {},
): TestVm {
  const options = vmOptionsSchema.parse(input);
  const events: RecordedEvent[] = [];
  const watchers = new Set<() => void>();
  const vm = assembleVm(
    options,
    createFactory(options),
    {
      emit: (name, payload) => {
        events.push({ name, payload } as RecordedEvent);
        for (const watcher of [...watchers]) watcher();
      },
      keepAwake: () => undefined,
    },
    settings,
  );
  onTestFinished(() => vm.dispose("destroy"));

  const until = <Found>(look: () => Found | undefined | false): Promise<Found> =>
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
    event: (name, fits = () => true) => until(() => payloads(name).find(fits)),
    output,
    outputHas: async (pid, text, stream) => {
      await until(() => output(pid, stream).includes(text));
    },
    screen,
    screenHas: (shellId, text) => until(() => matches(screen(shellId), text) && screen(shellId)),
  };
}

const BRACKETED_PASTE = new RegExp(`${String.fromCharCode(27)}\\[\\?2004[hl]\\r?`, "g");

function decode(chunks: { data: Uint8Array }[]): string {
  return Buffer.concat(chunks.map(({ data }) => data)).toString("utf8");
}

function matches(text: string, wanted: string | RegExp): boolean {
  return typeof wanted === "string" ? text.includes(wanted) : wanted.test(text);
}

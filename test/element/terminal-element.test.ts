import { expect, test, vi } from "vitest";
import type { VmHandle } from "../../src/client/index.ts";
import type { AgentVmTerminal } from "../../src/element/index.ts";

interface FakeScreen {
  events: { onExit(exitCode: number): void; onError(error: Error): void };
  isDisposed: boolean;
}

const screens = vi.hoisted(() => [] as FakeScreen[]);

vi.mock("../../src/element/screen.ts", () => ({
  Screen: class {
    isDisposed = false;
    readonly events: FakeScreen["events"];
    constructor(_place: unknown, events: FakeScreen["events"]) {
      this.events = events;
      screens.push(this);
    }
    attach = () => undefined;
    dispose() {
      this.isDisposed = true;
    }
  },
}));

/** Makes an element on a page that Node does not have. */
async function elementOf(vm: VmHandle): Promise<AgentVmTerminal & { isConnected: boolean }> {
  const root = { replaceChildren: () => undefined, append: () => undefined };
  class Element extends EventTarget {
    isConnected = true;
    attachShadow() {
      return root;
    }
    getAttribute() {
      return null;
    }
  }
  vi.stubGlobal("HTMLElement", Element);
  vi.stubGlobal("document", { createElement: () => ({}) });
  vi.stubGlobal("customElements", { get: () => undefined, define: () => undefined });
  const { AgentVmTerminal: Made } = await import("../../src/element/index.ts");
  const element = new Made() as AgentVmTerminal & { isConnected: boolean };
  element.vm = vm;
  await turn();
  return element;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test.each(["exit", "error"])(
  "a terminal opens again after its %s, and not while its shell runs",
  async (end) => {
    screens.length = 0;
    const element = await elementOf({} as VmHandle);
    element.connectedCallback();
    await turn();
    expect(screens).toHaveLength(1);
    if (end === "exit") screens[0]?.events.onExit(0);
    else screens[0]?.events.onError(new Error("lost"));
    await turn();
    expect(screens.map(({ isDisposed }) => isDisposed)).toEqual([false]);
    element.connectedCallback();
    await turn();
    expect(screens.map(({ isDisposed }) => isDisposed)).toEqual([true, false]);
    screens[1]?.events.onExit(0);
    element.isConnected = false;
    element.disconnectedCallback();
    await turn();
    expect(screens.map(({ isDisposed }) => isDisposed)).toEqual([true, true]);
  },
);

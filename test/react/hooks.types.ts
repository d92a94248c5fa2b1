import { createElement } from "react";
import { createClient, type SequencedSessionEvent } from "../../src/client/index.ts";
import { AgentVmProvider, useEvent, useSession, useTerminal, useVm } from "../../src/react/index.ts";
import type { registry } from "../../src/server.ts";

// tsc checks this file, and nothing runs it.

const client = createClient<typeof registry>({ endpoint: "http://localhost:6420" });

export const withClient = createElement(AgentVmProvider, { client });
export const withOptions = createElement(AgentVmProvider, {
  options: { endpoint: "http://localhost:6420" },
  actor: "vm",
});
// @ts-expect-error a provider has a client or options
export const withNeither = createElement(AgentVmProvider, {});

export function Component(): null {
  const vm = useVm(["alice", "main"], { create: true });
  useEvent(vm, "portOpened", ({ port }) => port.toFixed());
  // @ts-expect-error the event has a port and no name
  useEvent(vm, "portOpened", ({ name }) => name);
  // @ts-expect-error there is no such event
  useEvent(vm, "other", () => undefined);
  const { state, exitCode, write } = useTerminal(vm, {
    cols: 80,
    rows: 24,
    onData: (data) => data.byteLength,
  });
  const known: "opening" | "open" | "exited" | "failed" = state;
  const { events, prompt } = useSession(vm, undefined);
  const all: readonly SequencedSessionEvent[] = events;
  void [known, exitCode?.toFixed(), write("ls\n"), all, prompt("hello").then(({ text }) => text)];
  return null;
}

import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { AgentVmError, connectionLost } from "../../src/api/errors.ts";
import { RECONNECT_TIMEOUT_MS } from "../../src/api/limits.ts";
import type { OpenedShell } from "../../src/api/methods/shells.ts";
import { terminal } from "../../src/client/index.ts";
import { Link } from "../../src/client/link.ts";
import { openTerminal } from "../../src/client/terminal.ts";
import { type FakeServer, startTestServer } from "../support/servers.ts";
import { tcpProxy } from "../support/tcp-proxy.ts";
import { failure, until } from "../support/until.ts";

let server: FakeServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "fake" });
});
afterAll(() => server.stop());

/** Collects a terminal's output as text. */
function screen() {
  return {
    text: "",
    onData(data: Uint8Array) {
      this.text += new TextDecoder().decode(data);
    },
  };
}

describe.each(["handle", "connection"] as const)("a terminal on a %s", (kind) => {
  test("shows everything from the first byte to the exit", async () => {
    const agent = server.client().vm.getOrCreate(`terminal-${kind}`);
    const out = screen();
    const shell = await terminal(kind === "handle" ? agent : agent.connect(), {
      onData: (data) => out.onData(data),
    });
    expect(shell).toMatchObject({ pid: 100, shellId: "shell-1" });
    await shell.resize(120, 40);
    await Promise.all([..."typed in order "].map((key) => shell.write(key)));
    await shell.write("exit\n");
    expect(await shell.exited).toBe(0);
    expect(out.text).toBe("$ 120x40typed in order exit\n");
  });

  test("connectTerminal returns the pid and passes output to onData", async () => {
    const agent = server.client().vm.getOrCreate(`connect-${kind}`);
    const vm = kind === "handle" ? agent : agent.connect();
    const out = screen();
    const pid = await vm.connectTerminal({ onData: (data) => out.onData(data), cols: 100 });
    const shell = (await vm.listShells()).find((entry) => entry.pid === pid);
    await vm.writeShell(shell?.shellId ?? "", "hello");
    await until(() => out.text === "$ hello");
    await vm.closeShell(shell?.shellId ?? "");
    expect(await vm.waitShell(shell?.shellId ?? "")).toBe(129);
  });

  test("misses nothing when its connection breaks", async () => {
    const proxy = await tcpProxy(server.port);
    const agent = server.client({ endpoint: proxy.endpoint }).vm.getOrCreate(`broken-${kind}`);
    const out = screen();
    const shell = await terminal(kind === "handle" ? agent : agent.connect(), {
      onData: (data) => out.onData(data),
    });
    await until(() => out.text === "$ ");
    proxy.target = undefined;
    proxy.cut();
    // Another client writes while the terminal is disconnected.
    const other = server.client().vm.getOrCreate(`broken-${kind}`);
    for (const word of ["one ", "two ", "three "]) await other.writeShell(shell.shellId, word);
    proxy.target = server.port;
    await until(() => out.text === "$ one two three ");
    await other.writeShell(shell.shellId, "exit\n");
    expect(await shell.exited).toBe(0);
    expect(out.text).toBe("$ one two three exit\n");
    await proxy.close();
  });

  test("keeps a keystroke while attempts to connect fail", async () => {
    const proxy = await tcpProxy(server.port);
    const agent = server.client({ endpoint: proxy.endpoint }).vm.getOrCreate(`patient-${kind}`);
    const out = screen();
    const shell = await terminal(kind === "handle" ? agent : agent.connect(), {
      onData: (data) => out.onData(data),
    });
    proxy.target = undefined;
    proxy.cut();
    await until(() => proxy.refused > 0);
    const written = shell.write("kept ");
    const before = proxy.refused;
    await until(() => proxy.refused > before + 2);
    proxy.target = server.port;
    await written;
    await shell.write("exit\n");
    expect(await shell.exited).toBe(0);
    expect(out.text).toBe("$ kept exit\n");
    await proxy.close();
  });

  test("ends when its client is disposed", async () => {
    const client = server.client();
    const agent = client.vm.getOrCreate(`disposed-${kind}`);
    const shell = await terminal(kind === "handle" ? agent : agent.connect());
    await client.dispose();
    expect(await failure(shell.exited)).toMatchObject({ code: "connection_lost" });
  });

  test("reports an exit that happened while it was disconnected", async () => {
    const proxy = await tcpProxy(server.port);
    const agent = server.client({ endpoint: proxy.endpoint }).vm.getOrCreate(`away-${kind}`);
    const out = screen();
    const shell = await terminal(kind === "handle" ? agent : agent.connect(), {
      onData: (data) => out.onData(data),
    });
    proxy.target = undefined;
    proxy.cut();
    await server.client().vm.getOrCreate(`away-${kind}`).writeShell(shell.shellId, "exit\n");
    proxy.target = server.port;
    expect(await shell.exited).toBe(0);
    expect(out.text).toBe("$ exit\n");
    await proxy.close();
  });
});

test("a close on a handle does not wait for a server that is away", async () => {
  const proxy = await tcpProxy(server.port);
  const agent = server.client({ endpoint: proxy.endpoint }).vm.getOrCreate("closed-away");
  const shell = await terminal(agent);
  proxy.target = undefined;
  proxy.cut();
  await until(() => proxy.refused > 0);
  const written = shell.write("kept");
  expect(await failure(shell.close())).toMatchObject({ code: "connection_lost" });
  proxy.target = server.port;
  await written;
  await shell.close();
  expect(await shell.exited).toBe(129);
  await proxy.close();
});

test("with a shellId it takes up an open shell with its scrollback, and detaches from it", async () => {
  const agent = server.client().vm.getOrCreate("taken-up");
  const { shellId } = await agent.openShell();
  await agent.writeShell(shellId, "before ");
  const out = screen();
  const shell = await terminal(agent.connect(), { shellId, onData: (data) => out.onData(data), cols: 100 });
  expect(shell).toMatchObject({ pid: 100, shellId });
  await until(() => out.text === "$ before 100x24");
  await shell.write("after ");
  await until(() => out.text === "$ before 100x24after ");
  shell.detach();
  expect(await failure(shell.exited)).toMatchObject({ code: "connection_lost" });
  const second = screen();
  const other = await terminal(agent, { shellId, onData: (data) => second.onData(data) });
  await other.write("exit\n");
  expect(await other.exited).toBe(0);
  expect([out.text, second.text]).toEqual(["$ before 100x24after ", "$ before 100x24after exit\n"]);
});

test("terminal() shows a shell that has ended, and refuses an unknown one and options of a new one", async () => {
  const agent = server.client().vm.getOrCreate("ended");
  const { shellId } = await agent.openShell();
  await agent.writeShell(shellId, "exit\n");
  await agent.waitShell(shellId);
  const out = screen();
  const shell = await terminal(agent, { shellId, onData: (data) => out.onData(data) });
  expect(await shell.exited).toBe(0);
  expect(out.text).toBe("$ exit\n");
  expect(await failure(terminal(agent, { shellId: "shell-9" }))).toMatchObject({ code: "shell_not_found" });
  const wrong = { shellId, command: "zsh" } as never;
  expect(await failure(terminal(agent, wrong))).toMatchObject({ code: "invalid_argument" });
});

test("a write to a shell that the server has forgotten fails with shell_not_found", async () => {
  const client = server.client();
  const agent = client.vm.getOrCreate("forgotten");
  const shell = await terminal(agent);
  server.vms.all.at(-1)?.shells.clear();
  expect(await failure(shell.write("x"))).toMatchObject({ code: "shell_not_found" });
  await client.dispose();
});

test("terminal() refuses objects that are not handles or connections of this client", async () => {
  expect(await failure(terminal({} as never))).toMatchObject({ code: "invalid_argument" });
});

/** Opens a terminal on a link without a server, and counts the listeners of the link. */
async function onBareLink() {
  const link = new Link({} as never);
  let listening = 0;
  const counting = <Args extends unknown[]>(add: (...args: Args) => () => void) => {
    return (...args: Args) => {
      const remove = add(...args);
      listening += 1;
      return () => {
        remove();
        listening -= 1;
      };
    };
  };
  link.on = counting(link.on.bind(link));
  for (const each of [link.opened, link.down, link.statusChanged] as { add(callback: never): () => void }[])
    each.add = counting(each.add.bind(each));
  const shell = { shellId: "shell-1", pid: 7 };
  const outputs: Record<string, unknown> = {
    openShell: shell,
    readShell: { chunks: [], running: true, exitCode: null },
  };
  const invoke = async (action: string) => outputs[action];
  const opened = await openTerminal({ link, invoke, patient: invoke });
  expect(listening).toBeGreaterThan(0);
  return { link, opened, listening: () => listening };
}

test("a terminal that is over listens to nothing of its connection", async () => {
  const { opened, listening } = await onBareLink();
  opened.detach();
  expect(await failure(opened.exited)).toMatchObject({ code: "connection_lost" });
  expect(listening()).toBe(0);
});

test("a terminal ends with the error that ends its line for good", async () => {
  const { link, opened, listening } = await onBareLink();
  link.restart(new AgentVmError("unauthorized", "The token was revoked"));
  expect(await failure(opened.exited)).toMatchObject({ code: "unauthorized" });
  expect(listening()).toBe(0);
});

test("a terminal ends when its line stays broken, and survives breaks that are shorter", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { link, opened, listening } = await onBareLink();
  let end: unknown;
  opened.exited.catch((error: unknown) => {
    end = error;
  });
  for (let breaks = 0; breaks < 2; breaks += 1) {
    link.down.emit(connectionLost("The connection was lost"), true);
    await vi.advanceTimersByTimeAsync(RECONNECT_TIMEOUT_MS - 1);
    link.opened.emit();
  }
  await vi.advanceTimersByTimeAsync(RECONNECT_TIMEOUT_MS);
  expect(end).toBeUndefined();
  link.down.emit(connectionLost("The connection was lost"), true);
  await vi.advanceTimersByTimeAsync(RECONNECT_TIMEOUT_MS / 2);
  link.down.emit(connectionLost("The connection could not be opened"), false);
  await vi.advanceTimersByTimeAsync(RECONNECT_TIMEOUT_MS / 2);
  expect(end).toMatchObject({ code: "connection_lost" });
  expect(listening()).toBe(0);
});

/** Opens a terminal, writes to it between two restarts of its VM, and lets the test answer the two reopenings. */
async function restartedTwice() {
  const link = new Link({} as never);
  const openings: PromiseWithResolvers<OpenedShell>[] = [];
  const calls: string[] = [];
  const invoke = async (action: string, [shellId]: unknown[]) => {
    if (action !== "openShell") return calls.push(`${action} ${shellId}`);
    const opening = Promise.withResolvers<OpenedShell>();
    openings.push(opening);
    return await opening.promise;
  };
  const reopened: string[] = [];
  const onReopen = ({ shellId }: { shellId: string }) => reopened.push(shellId);
  const opening = openTerminal({ link, invoke, patient: invoke }, { onReopen });
  openings[0]?.resolve({ shellId: "shell-1", pid: 1 });
  const shell = await opening;
  link.tell("vmRestarted", {});
  const written = shell.write("x");
  link.tell("vmRestarted", {});
  const [, older, newest] = openings;
  if (!older || !newest) throw new Error("The shell did not open again twice");
  return { shell, written, older, newest, calls, reopened };
}

test("a terminal survives a second restart of the VM that ends the first reopening", async () => {
  const { shell, written, older, newest, calls, reopened } = await restartedTwice();
  older.reject(new AgentVmError("call_lost", "The instance has ended"));
  newest.resolve({ shellId: "shell-3", pid: 3 });
  await written;
  expect([shell.shellId, shell.pid, reopened, calls]).toEqual([
    "shell-3",
    3,
    ["shell-3"],
    ["writeShell shell-3"],
  ]);
  shell.detach();
  expect(await failure(shell.exited)).toMatchObject({ code: "connection_lost" });
});

test("a terminal closes the shell of an older reopening, whether it opens before or after the newest", async () => {
  const before = await restartedTwice();
  before.older.resolve({ shellId: "shell-2", pid: 2 });
  await until(() => before.calls.length === 1);
  before.newest.resolve({ shellId: "shell-3", pid: 3 });
  await before.written;
  const after = await restartedTwice();
  after.newest.resolve({ shellId: "shell-3", pid: 3 });
  await until(() => after.reopened.length === 1);
  after.older.resolve({ shellId: "shell-2", pid: 2 });
  await after.written;
  for (const { shell, reopened, calls } of [before, after]) {
    expect([shell.shellId, reopened]).toEqual(["shell-3", ["shell-3"]]);
    expect(calls).toEqual(["closeShell shell-2", "writeShell shell-3"]);
  }
});

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { terminal } from "../../src/client/index.ts";
import { startServer, type TestServer } from "../support/start-server.ts";
import { tcpProxy } from "../support/tcp-proxy.ts";
import { failure, until } from "../support/until.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
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

  test("connectTerminal answers the pid, and feeds onData", async () => {
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
    // Written by another client while this one is away.
    const other = server.client().vm.getOrCreate(`broken-${kind}`);
    for (const word of ["one ", "two ", "three "]) await other.writeShell(shell.shellId, word);
    proxy.target = server.port;
    await until(() => out.text === "$ one two three ");
    await other.writeShell(shell.shellId, "exit\n");
    expect(await shell.exited).toBe(0);
    expect(out.text).toBe("$ one two three exit\n");
    await proxy.close();
  });

  test("learns of an exit that happened while it was away", async () => {
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

test("a shell that another server knows nothing of ends the terminal with its error", async () => {
  const client = server.client();
  const agent = client.vm.getOrCreate("forgotten");
  const shell = await terminal(agent);
  server.vms.all.at(-1)?.shells.clear();
  expect(await failure(shell.write("x"))).toMatchObject({ code: "shell_not_found" });
  await client.dispose();
});

test("terminal() takes handles and connections of this client only", async () => {
  expect(await failure(terminal({} as never))).toMatchObject({ code: "invalid_argument" });
});

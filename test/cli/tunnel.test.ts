// @module-tag slow
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { cliEnv, cliOf } from "../support/cli.ts";
import { programEnv } from "../support/program-env.ts";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { fileServer } from "../support/servers.ts";
import { closed, connectTo, readAll, TCP_SERVER } from "../support/tcp.ts";

const server = fileServer("kernel");
const run = cliOf(server);
const env = cliEnv();

/** Starts `agent-vm tunnel` and waits for its address. */
async function start(...args: string[]) {
  const child = spawn(process.execPath, [AGENT_VM_PROGRAM, "tunnel", ...args], {
    env: { ...programEnv(), ...env(server()) },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const errors: string[] = [];
  child.stderr.on("data", (data) => errors.push(String(data)));
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { child, line: String(line), errors };
}

test("prints the address, carries connections, and ends with Ctrl-C", async () => {
  const vm = server().client().vm.getOrCreate(["team", "alice"]);
  await vm.writeFile("/workspace/tcp-server.cjs", TCP_SERVER);
  await vm.spawn("node", ["/workspace/tcp-server.cjs", "4000"]);
  await vm.spawn("node", ["/workspace/tcp-server.cjs", "/tmp/a.sock"]);
  await vm.waitForPort(4000);

  const plain = await start("team/alice", "4000");
  const [, port] = /^127\.0\.0\.1:(\d+)\n$/.exec(plain.line) ?? [];
  const socket = await connectTo({ host: "127.0.0.1", port: Number(port) });
  socket.end("echo\nhello");
  expect(String(await readAll(socket))).toBe("hello");
  plain.child.kill("SIGINT");
  expect(await once(plain.child, "exit")).toEqual([0, null]);
  expect(plain.errors).toEqual([]);

  const json = await start("team/alice", "--socket", "/tmp/a.sock", "--local-port", String(port), "--json");
  expect(JSON.parse(json.line)).toEqual({
    host: "127.0.0.1",
    port: Number(port),
    key: "team/alice",
    to: "/tmp/a.sock",
  });
  const other = await connectTo({ host: "127.0.0.1", port: Number(port) });
  other.end("echo\nby a socket");
  expect(String(await readAll(other))).toBe("by a socket");

  const nobody = await start("team/alice", "9");
  await closed(await connectTo({ host: "127.0.0.1", port: Number(nobody.line.split(":")[1]) }));
  await expect.poll(() => nobody.errors.join("")).toContain("agent-vm: ECONNREFUSED");

  expect(await run(["tunnel", "team/alice"])).toMatchObject({ code: 2 });
  expect(await run(["tunnel", "team/alice", "4000", "--local-port", String(port)])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("EADDRINUSE"),
  });
  expect((await run(["tunnel", "missing", "4000"])).stderr).toContain("missing");
});

import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, symlink } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { freePort } from "../support/free-port.ts";
import { testRows } from "../support/rows.ts";
import {
  AGENT_VM_PROGRAM,
  type ServerProcess,
  type ServerProcessOptions,
  startServerProcess,
} from "../support/server-process.ts";

const servers: ServerProcess[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop())));

async function start(options: ServerProcessOptions = {}): Promise<ServerProcess> {
  const server = await startServerProcess({ mayExit: true, ...options });
  servers.push(server);
  return server;
}

describe("the ready-made server", () => {
  test("has 16 threads for files, so that programs of some VMs can keep theirs waiting", async () => {
    const { process: server } = await start();
    const tasks = `/proc/${server.pid}/task`;
    const names = await Promise.all(
      (await readdir(tasks)).map((task) => readFile(`${tasks}/${task}/comm`, "latin1")),
    );
    expect(names.filter((name) => name === "libuv-worker\n")).toHaveLength(16);
  });

  test("prints its address, its data folder and the isolation of VMs, then serves", async () => {
    const server = await start();
    expect(server.stderr()).toBe("");
    expect(server.stdout()).toBe(
      [
        "agent-vm 0.1.0",
        "",
        `  Endpoint     ${server.endpoint}`,
        `  Data         ${server.dataDir}`,
        "  Isolation    memory runtime: files only, no processes",
        "  Network      none",
        "  Host files   VMs see nothing",
        "  Access       loopback only, no token (set AGENT_VM_TOKEN to let others in)",
        "",
        "",
      ].join("\n"),
    );
    const client = createClient<typeof registry>({ endpoint: server.endpoint });
    const agent = client.vm.getOrCreate("one");
    await agent.writeFile("/home/agentos/x", "hello");
    expect(new TextDecoder().decode(await agent.readFile("/home/agentos/x"))).toBe("hello");
    await client.dispose();
  });

  testRows<[NodeJS.Signals, Record<string, string>, string]>(
    [
      ["SIGTERM", { AGENT_VM_TOKEN: "t0ken" }, "token required (AGENT_VM_TOKEN)"],
      ["SIGINT", {}, "loopback only, no token"],
      ["SIGHUP", {}, "loopback only, no token"],
    ],
    1,
  )("%s exits 0 with %j", async (signal, env, access) => {
    const server = await start({ env });
    expect(server.stdout()).toContain(`Access       ${access}`);
    const token = env.AGENT_VM_TOKEN;
    if (token !== undefined) expect((await fetch(`${server.endpoint}/actors?name=vm`)).status).toBe(401);
    const client = createClient<typeof registry>({
      endpoint: server.endpoint,
      ...(token !== undefined && { token }),
    });
    const connection = client.vm.getOrCreate("one").connect();
    await connection.writeFile("/home/agentos/x", "hello");
    const shutdown = new Promise((resolve) => void connection.on("vmShutdown", resolve));
    await connection.exists("/x");
    server.process.kill(signal);
    // A shell and the kernel both tell the end of a terminal.
    if (signal === "SIGHUP") setTimeout(() => server.process.kill(signal), 1);
    expect(await server.exited).toBe(0);
    expect(await shutdown).toEqual({ reason: "sleep" });
    await client.dispose();
  });

  test("drains although its log cannot be written", { tags: ["slow"] }, async () => {
    const port = await freePort();
    const line = '"$0" "$1" serve 2> /dev/full';
    const server = await start({
      port,
      command: ["sh", "-c", `exec ${line}`, process.execPath, AGENT_VM_PROGRAM],
      env: { AGENT_VM_LOG_LEVEL: "info" },
    });
    const client = createClient<typeof registry>({ endpoint: server.endpoint });
    await client.vm.getOrCreate("one").writeFile("/home/agentos/x", "hello");
    server.process.kill("SIGTERM");
    expect(await server.exited).toBe(0);
    await client.dispose();
  });

  test("keeps its data in a folder that no other user can read", async () => {
    const state = await mkdtemp(join(tmpdir(), "agent-vm-state-"));
    const server = await start({ env: { AGENT_VM_DATA: "", XDG_STATE_HOME: state } });
    expect(server.stdout()).toContain(`Data         ${join(state, "agent-vm")}`);
    expect(await readdir(state)).toEqual(["agent-vm"]);
    expect((await stat(join(state, "agent-vm"))).mode & 0o777).toBe(0o700);
    await server.stop();
    await rm(state, { recursive: true });
  });

  test("runs through a symlink, as npm installs programs", { tags: ["slow"] }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "agent-vm-bin-"));
    const program = join(folder, "agent-vm");
    await symlink(AGENT_VM_PROGRAM, program);
    const server = await start({ program, args: ["serve"] });
    expect(server.stdout()).toContain(server.endpoint);
    await rm(folder, { recursive: true });
  });
});

describe("a start that cannot succeed exits 1 with one clear message", () => {
  test("a port that is taken", async () => {
    const taken = net.createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as net.AddressInfo;
    const server = await start({ port });
    expect(await server.exited).toBe(1);
    expect(server.stdout()).toBe("");
    expect(server.stderr()).toBe(
      `agent-vm: Port ${port} is in use on 127.0.0.1 or on another address of this machine. Stop that process, or choose another port: \`port\` of setup(), PORT of \`agent-vm serve\`.\n`,
    );
    taken.close();
  });

  testRows<[string, Record<string, string>, string]>(
    [
      ["another address without a token", { HOST: "0.0.0.0" }, "Listening on 0.0.0.0 needs a token"],
      [
        "a port that is not a number",
        { PORT: "http" },
        'Expected `PORT` to be a port from 1 to 65535, got "http"',
      ],
      ["a port out of range", { PORT: "70000" }, "Expected `port` to be a port from 1 to 65535, got 70000"],
      [
        "an unknown runtime",
        { AGENT_VM_RUNTIME: "docker" },
        'Expected `AGENT_VM_RUNTIME` to be "kernel" or "memory", got "docker"',
      ],
      [
        "too many VMs ahead",
        { AGENT_VM_POOL: "65" },
        'Expected `AGENT_VM_POOL` to be an integer from 0 to 64, got "65"',
      ],
      [
        "an unknown log level",
        { AGENT_VM_LOG_LEVEL: "loud" },
        "Expected AGENT_VM_LOG_LEVEL to be one of trace",
      ],
      [
        "a time to drain that no timer can wait",
        { AGENT_VM_DRAIN_MS: "2147483648" },
        'Expected `AGENT_VM_DRAIN_MS` to be an integer from 0 to 2147423647, got "2147483648"',
      ],
      ["a token with a line end", { AGENT_VM_TOKEN: "t0ken\n" }, "The token begins or ends with white space"],
      [
        "an origin without a scheme",
        { AGENT_VM_ALLOWED_ORIGINS: "app.example" },
        'Expected `allowedOrigins` to be origins such as ["https://app.example.com"], got "app.example"',
      ],
      [
        "an origin with a path",
        { AGENT_VM_ALLOWED_ORIGINS: "https://app.example/" },
        'got "https://app.example/"',
      ],
      [
        "an address for other servers without their secret",
        { AGENT_VM_ADVERTISE: "http://10.0.0.5:6421" },
        "Expected `AGENT_VM_PEER_SECRET` to be set together with AGENT_VM_ADVERTISE",
      ],
      ["a data folder below a device", { AGENT_VM_DATA: "/dev/null/agent-vm" }, "/dev/null/agent-vm"],
      [
        "an address of another machine",
        { HOST: "203.0.113.7", AGENT_VM_TOKEN: "t" },
        "Cannot listen on 203.0.113.7",
      ],
      [
        "a data folder that cannot be made",
        { AGENT_VM_DATA: "/proc/agent-vm/data" },
        "Expected `AGENT_VM_DATA` to be a folder that can be made (ENOENT",
      ],
      [
        "a data folder that is a file",
        { AGENT_VM_DATA: "/etc/passwd" },
        "Expected `AGENT_VM_DATA` to be a folder",
      ],
      [
        "an audit that cannot be written",
        { AGENT_VM_AUDIT_FILE: "/dev/null/audit" },
        "Expected `AGENT_VM_AUDIT_FILE` to be a file that the server can write (ENOTDIR",
      ],
    ],
    1,
  )("%s", async (_name, env, message) => {
    const server = await start({ env });
    expect(await server.exited).toBe(1);
    expect(server.stderr()).toContain(`agent-vm: `);
    expect(server.stderr()).toContain(message);
    expect(server.stderr().trim().split("\n").length).toBeLessThanOrEqual(2);
  });

  test("listens on every address with a token", { tags: ["slow"] }, async () => {
    const port = await freePort();
    const server = await start({ port, env: { HOST: "0.0.0.0", AGENT_VM_TOKEN: "t0ken" } });
    expect(server.stdout()).toContain(`Endpoint     http://0.0.0.0:${port}`);
  });
});

// @module-tag slow
import { execFile, execFileSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { VmHandle } from "../../src/client/types.ts";
import { needs } from "../support/installed.ts";
import { startTestServer, type TestServer } from "../support/servers.ts";
import { testFolder } from "../support/temporary-folder.ts";

const run = promisify(execFile);
const versions = existsSync("/usr/lib/postgresql") ? readdirSync("/usr/lib/postgresql") : [];
const postgres = join("/usr/lib/postgresql", versions[0] ?? "none", "bin");

let server: TestServer;
let vm: VmHandle;

beforeAll(async () => {
  server = await startTestServer({ kind: "kernel" });
  vm = server.client().vm.getOrCreate("servers");
});
afterAll(() => server.stop());

test("psql reaches Postgres by its port and by its socket", async ({ skip }) => {
  needs(skip, "psql", join(postgres, "initdb"));
  await vm.exec(`${postgres}/initdb -D /tmp/data -A trust -U agent --no-sync`);
  await vm.spawn(join(postgres, "postgres"), [
    "-D",
    "/tmp/data",
    "-h",
    "127.0.0.1",
    "-p",
    "5432",
    "-k",
    "/tmp",
    "-F",
  ]);
  await vm.waitForPort(5432);
  await using byPort = await vm.tunnel({ port: 5432 });
  await using bySocket = await vm.tunnel({ socketPath: "/tmp/.s.PGSQL.5432" });
  for (const { port } of [byPort, bySocket]) {
    const sql = "select sum(length(repeat('x', 1000))) from generate_series(1, 10000)";
    const args = ["-h", "127.0.0.1", "-p", String(port), "-U", "agent", "-Atc", sql, "postgres"];
    expect((await run("psql", args)).stdout).toBe("10000000\n");
  }
});

test("redis-cli reaches Redis", async ({ skip }) => {
  needs(skip, "redis-server", "redis-cli");
  await vm.spawn("redis-server", ["--port", "6379", "--save", ""]);
  await vm.waitForPort(6379);
  await using tunnel = await vm.tunnel({ port: 6379 });
  expect((await run("redis-cli", ["-p", String(tunnel.port), "ping"])).stdout).toBe("PONG\n");
});

test("ssh runs a command inside", async ({ skip }) => {
  needs(skip, "/usr/sbin/sshd", "ssh", "ssh-keygen");
  const folder = testFolder();
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, "id")]);
  chmodSync(join(folder, "id"), 0o600);
  await vm.exec("mkdir -p /tmp/ssh && ssh-keygen -q -t ed25519 -N '' -f /tmp/ssh/host");
  await vm.writeFile("/tmp/ssh/keys", readFileSync(join(folder, "id.pub")));
  await vm.writeFile(
    "/tmp/ssh/config",
    "Port 2222\nListenAddress 127.0.0.1\nHostKey /tmp/ssh/host\nAuthorizedKeysFile /tmp/ssh/keys\nStrictModes no\nUsePAM no\nPidFile none\n",
  );
  await vm.spawn("/usr/sbin/sshd", ["-D", "-e", "-f", "/tmp/ssh/config"]);
  await vm.waitForPort(2222);
  const user = (await vm.exec("id -un")).stdout.trim();
  await using tunnel = await vm.tunnel({ port: 2222 });
  const options = [
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-i",
    join(folder, "id"),
  ];
  const { stdout } = await run("ssh", [
    ...options,
    "-p",
    String(tunnel.port),
    `${user}@127.0.0.1`,
    "hostname",
  ]);
  expect(stdout).toBe((await vm.exec("hostname")).stdout);
});

test("a program in Python talks to a server in Python", async ({ skip }) => {
  needs(skip, "python3");
  const code =
    "import socketserver\nclass H(socketserver.StreamRequestHandler):\n  def handle(self):\n    self.wfile.write(self.rfile.readline().upper())\nsocketserver.ThreadingTCPServer(('127.0.0.1', 7000), H).serve_forever()";
  await vm.spawn("python3", ["-c", code]);
  await vm.waitForPort(7000);
  await using tunnel = await vm.tunnel({ port: 7000 });
  const client = `import socket\ns = socket.create_connection(("127.0.0.1", ${tunnel.port}))\ns.sendall(b"hello\\n")\nprint(s.recv(100))`;
  expect((await run("python3", ["-c", client])).stdout).toBe("b'HELLO\\n'\n");
});

test("git clones from a daemon inside", async ({ skip }) => {
  needs(skip, "git");
  await vm.exec(
    "git init -q /tmp/repo && cd /tmp/repo && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m first",
  );
  await vm.spawn("git", ["daemon", "--export-all", "--base-path=/tmp", "--listen=127.0.0.1", "--port=9418"]);
  await vm.waitForPort(9418);
  await using tunnel = await vm.tunnel({ port: 9418 });
  const target = join(testFolder(), "clone");
  await run("git", ["clone", "-q", `git://127.0.0.1:${tunnel.port}/repo`, target]);
  expect((await run("git", ["-C", target, "log", "--format=%s"])).stdout).toBe("first\n");
});

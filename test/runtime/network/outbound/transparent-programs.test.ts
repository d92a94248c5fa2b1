// @module-tag any-user
// @module-tag slow
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { WebSocketServer } from "ws";
import { has, needs } from "../../../support/installed.ts";
import { startOutboundVm } from "../../../support/outside.ts";

const HOST = "127.0.0.2";
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

/** A free port of the address. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "agent-vm-programs-"));
  chmodSync(folder, 0o755);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts a server program, which ends with the test. @returns once it prints a text */
async function startServer(command: string, args: string[], ready: RegExp, uid?: number): Promise<void> {
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  onTestFinished(async () => {
    child.kill("SIGINT");
    await ended;
  });
  let output = "";
  await new Promise<void>((resolve, reject) => {
    const look = (data: Buffer) => {
      output += data;
      if (ready.test(output)) resolve();
    };
    child.stdout.on("data", look);
    child.stderr.on("data", look);
    void ended.then(() => reject(new Error(`${command} has ended: ${output}`)));
  });
}

/** A VM that may reach a name of this machine on one port. */
function startVm(port: number) {
  return startOutboundVm(
    { outbound: { allow: ["service.test", `${HOST}:${port}`] } },
    { "service.test": [HOST] },
  ).vm;
}

test("redis-cli reaches a Redis server", async ({ skip }) => {
  needs(skip, "redis-server", "redis-cli");
  const port = await freePort();
  await startServer("redis-server", ["--bind", HOST, "--port", `${port}`, "--save", ""], /Ready to accept/);
  const { stdout } = await startVm(port).exec(`redis-cli -h service.test -p ${port} ping`);
  expect(stdout).toBe("PONG\n");
});

const postgres = has("pg_config")
  ? execFileSync("pg_config", ["--bindir"], { encoding: "utf8" }).trim()
  : "/usr/lib/postgresql/15/bin";

test("psql reaches a Postgres server", async ({ skip }) => {
  needs(skip, "psql", join(postgres, "postgres"));
  const port = await freePort();
  const folder = join(makeFolder(), "data");
  mkdirSync(folder);
  const uid = isRoot ? NOBODY : undefined;
  if (uid !== undefined) chownSync(folder, uid, uid);
  execFileSync(join(postgres, "initdb"), ["-D", folder, "-A", "trust", "-U", "agent", "--no-sync"], {
    ...(uid === undefined ? {} : { uid, gid: uid }),
    stdio: "ignore",
  });
  const args = ["-D", folder, "-h", HOST, "-p", `${port}`, "-k", folder, "-F"];
  await startServer(join(postgres, "postgres"), args, /ready to accept/, uid);
  const { stdout, stderr } = await startVm(port).exec(
    `psql -h service.test -p ${port} -U agent -Atc 'select 6 * 7' postgres`,
  );
  expect(stdout + stderr).toBe("42\n");
});

const canLogIn = !/nologin|false/.test(userInfo().shell ?? "");

test("ssh, and git over ssh, reach an SSH server", async ({ skip }) => {
  needs(skip, "/usr/sbin/sshd", "ssh", "git", "ssh-keygen");
  const port = await freePort();
  const folder = makeFolder();
  for (const name of ["host", "user"]) {
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, name)]);
  }
  writeFileSync(
    join(folder, "config"),
    [
      `ListenAddress ${HOST}:${port}`,
      `HostKey ${folder}/host`,
      `AuthorizedKeysFile ${folder}/user.pub`,
      "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes",
    ].join("\n"),
  );
  if (isRoot) mkdirSync("/run/sshd", { recursive: true });
  await startServer("/usr/sbin/sshd", ["-D", "-e", "-f", join(folder, "config")], /Server listening/);
  const vm = startVm(port);
  expect((await vm.exec(`ssh-keyscan -T 20 -p ${port} service.test 2>&1`)).stdout).toContain("ssh-ed25519");
  if (!canLogIn) skip();
  execFileSync("git", ["init", "-q", "--bare", join(folder, "repo.git")]);
  await vm.mkdir("/tmp/key");
  await vm.writeFile("/tmp/key/id", readFileSync(join(folder, "user")));
  const ssh = "ssh -o StrictHostKeyChecking=no -i /tmp/key/id";
  const url = `ssh://${userInfo().username}@service.test:${port}${folder}/repo.git`;
  const { stdout, stderr } = await vm.exec(
    `chmod 600 /tmp/key/id && export GIT_SSH_COMMAND='${ssh}' && cd /tmp && git clone -q ${url} repo && cd repo &&
     git -c user.name=a -c user.email=a@b commit -q --allow-empty -m first && git push -q origin HEAD:main && echo pushed`,
  );
  expect([stdout, stderr]).toEqual(["pushed\n", expect.anything()]);
});

test("a WebSocket client without proxy support reaches a server", async () => {
  const port = await freePort();
  const server = new WebSocketServer({ host: HOST, port });
  onTestFinished(() => server.close());
  server.on("connection", (socket) => socket.on("message", (data) => socket.send(`echo ${data}`)));
  const program = `
    const socket = new WebSocket("ws://service.test:${port}/");
    socket.onopen = () => socket.send("hello");
    socket.onmessage = ({ data }) => { console.log(data); socket.close(); };
    socket.onerror = ({ message }) => { console.log(message); process.exit(); };`;
  const { stdout } = await startVm(port).exec(`env -u NODE_USE_ENV_PROXY node -e '${program}'`);
  expect(stdout).toBe("echo hello\n");
});

/** A server that says hello. */
async function greet(): Promise<number> {
  const port = await freePort();
  const server = createServer((socket) => socket.on("error", () => undefined).end("hello\n"));
  await new Promise<void>((resolve) => server.listen(port, HOST, resolve));
  onTestFinished(() => void server.close());
  return port;
}

test("a Java client reaches a server", async ({ skip }) => {
  needs(skip, "javac");
  const port = await greet();
  const vm = startVm(port);
  const program = `public class Main { public static void main(String[] a) throws Exception {
    try (var s = new java.net.Socket("service.test", ${port})) { System.out.print(new String(s.getInputStream().readAllBytes())); } } }`;
  await vm.writeFile("/tmp/Main.java", program);
  const { stdout, stderr } = await vm.exec("java -XX:TieredStopAtLevel=1 /tmp/Main.java");
  expect([stdout, stderr]).toEqual(["hello\n", ""]);
});

test("a Go client with Go's own resolver reaches a server", async ({ skip }) => {
  needs(skip, "go");
  const port = await greet();
  const vm = startVm(port);
  const program = `package main
    import ("io"; "net"; "os")
    func main() { c, err := net.Dial("tcp", "service.test:${port}"); if err != nil { panic(err) }; io.Copy(os.Stdout, c) }`;
  await vm.writeFile("/tmp/main.go", program);
  const { stdout, stderr } = await vm.exec("cd /tmp && CGO_ENABLED=0 GOFLAGS=-mod=mod go run main.go");
  expect([stdout, stderr]).toEqual(["hello\n", ""]);
});

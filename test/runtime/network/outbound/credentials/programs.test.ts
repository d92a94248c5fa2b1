import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join, normalize } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { WebSocketServer } from "ws";
import { has, needs } from "../../../../support/installed.ts";
import { startSecretVm, VALUE } from "../../../../support/secret-outside.ts";

const BEARER = `Bearer ${VALUE}`;

test("curl gets a secret added to https, with the proxy and without it, and never has it", async () => {
  const { vm, curl, url, last, requests } = await startSecretVm();
  const socks = "--noproxy '' -x $(echo $HTTP_PROXY | sed s/http/socks5h/)";
  for (const way of ["", "--noproxy '*'", socks]) {
    const { text, exitCode } = await curl(`${way} -H 'authorization: mine' '${url}/v1?q=%20'`);
    expect([exitCode, JSON.parse(text).url]).toEqual([0, "/v1?q=%20"]);
    expect(last().headers.authorization).toBe(BEARER);
  }
  // A connection carries several requests, and a name below a wildcard has a certificate of its own.
  const { text } = await curl(`${url}/a ${url.replace("api", "a.wild")}/b -d body -w '%{num_connects} '`);
  expect(text.match(/"body":"body"/g)).toHaveLength(2);
  expect(requests.map(({ headers }) => headers.authorization)).toEqual(Array(5).fill(BEARER));
  // The value is nowhere in the VM: not in its variables, its files or the memory of its processes.
  const { stdout } = await vm.exec("env; cat /run/agentos/authorities/bundle.pem; cat /proc/[0-9]*/environ");
  expect(stdout).not.toContain(VALUE);
  expect(stdout).not.toContain("PRIVATE KEY");
});

/** Starts a VM whose policy adds a password to a host, which serves a git repository and `/hello`. */
async function startGitVm() {
  const folder = mkdtempSync(join(tmpdir(), "agent-vm-git-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const git = (...args: string[]) => execFileSync("git", args, { cwd: folder, stdio: "pipe" });
  git("init", "-q", "-b", "main", "work");
  git(
    "-C",
    "work",
    "-c",
    "user.name=a",
    "-c",
    "user.email=a@b",
    "commit",
    "-q",
    "--allow-empty",
    "-m",
    "first",
  );
  git("clone", "-q", "--bare", "work", "repo.git");
  git("-C", "repo.git", "update-server-info");
  const basic = `Basic ${Buffer.from(`agent:${VALUE}`).toString("base64")}`;
  const serve: RequestListener = ({ headers, url = "" }, response) => {
    if (headers.authorization !== basic) return void response.writeHead(401).end();
    try {
      response.end(
        url === "/hello" ? "hello" : readFileSync(join(folder, normalize(url.replace(/\?.*/, "")))),
      );
    } catch {
      response.writeHead(404).end();
    }
  };
  return await startSecretVm({ headers: {}, basicUser: "agent" }, { listener: serve });
}

test("Node, python and git trust the VM's authority without setup", { tags: ["slow"] }, async () => {
  const { vm, url } = await startGitVm();
  const program = `fetch("${url}/hello").then((r) => r.text()).then(console.log);
    require("node:https").get("${url}/hello", (response) => response.pipe(process.stdout));`;
  expect((await vm.execArgv("node", ["-e", program])).stdout).toMatch(/hello\s*hello/);
  const direct = await vm.execArgv("node", ["-e", program], { env: { NODE_USE_ENV_PROXY: "" } });
  expect(direct.stdout).toMatch(/hello\s*hello/);
  const python = `import urllib.request; print(urllib.request.urlopen("${url}/hello").read().decode())`;
  if (has("python3")) expect((await vm.execArgv("python3", ["-c", python])).stdout).toBe("hello\n");
  const cloned = await vm.exec(`git clone -q ${url}/repo.git /tmp/repo && git -C /tmp/repo log --format=%s`);
  expect([cloned.stdout, cloned.stderr]).toEqual(["first\n", ""]);
});

test("Java trusts the VM's authority without setup", { tags: ["slow"] }, async ({ skip }) => {
  needs(skip, "java");
  const { vm, url } = await startGitVm();
  const java = `public class Main { public static void main(String[] a) throws Exception {
    System.out.print(new String(new java.net.URL("${url}/hello").openStream().readAllBytes())); } }`;
  await vm.writeFile("/tmp/Main.java", java);
  const run = await vm.exec("java -XX:TieredStopAtLevel=1 /tmp/Main.java");
  expect([run.stdout, run.stderr]).toEqual(["hello", expect.stringContaining("JAVA_TOOL_OPTIONS")]);
});

test("wget trusts the VM's authority, also with GnuTLS and with a configuration of the user", async ({
  skip,
}) => {
  needs(skip, "wget");
  const { vm, url, last } = await startSecretVm();
  await vm.exec("echo user_agent = own > ~/.wgetrc");
  const { stdout, stderr, exitCode } = await vm.exec(`wget -q -O - '${url}/v1'`);
  expect([exitCode, stderr, JSON.parse(stdout).url]).toEqual([0, "", "/v1"]);
  expect(last().headers).toMatchObject({ authorization: BEARER, "user-agent": "own" });
});

test("a WebSocket and a stream of events pass, with the secret", { tags: ["slow"] }, async () => {
  const { vm, url, server, last } = await startSecretVm(
    { mask: true },
    {
      listener: (request, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write("data: first\n\n");
        // The second event waits for the program's next request, so a server that collects the answer hangs.
        if (request.url === "/next") server.emit("next");
        server.once("next", () => response.end(`data: ${VALUE}\n\n`));
        if (request.url === "/next") response.end();
      },
    },
  );
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(`echo ${data}`)));
  const program = `
    const socket = new WebSocket("${url.replace("https", "wss")}/socket");
    socket.onopen = () => socket.send("hello");
    socket.onmessage = async ({ data }) => { console.log(data); socket.close(); await events(); };
    socket.onerror = ({ message }) => { console.log(message); process.exit(1); };
    async function events() {
      const { body } = await fetch("${url}/events");
      for await (const piece of body) {
        process.stdout.write(piece);
        if (Buffer.from(piece).includes("first")) fetch("${url}/next");
      }
    }`;
  const { stdout, stderr } = await vm.execArgv("node", ["-e", program]);
  expect([stdout, stderr]).toEqual([`echo hello\ndata: first\n\ndata: ${"*".repeat(VALUE.length)}\n\n`, ""]);
  expect(last().headers.authorization).toBe(BEARER);
});

test("a VM without secrets for https opens no connection and has no authority", async () => {
  const { vm, curl, url, tls, last } = await startSecretVm({ hosts: ["http://api.test:1"] });
  const { stdout } = await vm.exec("ls /run/agentos; echo $CURL_CA_BUNDLE $JAVA_TOOL_OPTIONS");
  expect(stdout).not.toMatch(/authorities|trustStore/);
  await vm.writeFile("/tmp/ca.pem", tls.cert);
  expect((await curl(`--cacert /tmp/ca.pem ${url}/`)).exitCode).toBe(0);
  expect(last().headers.authorization).toBeUndefined();
});

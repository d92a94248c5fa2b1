// @module-tag slow
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import type { RequestListener } from "node:http";
import { join } from "node:path";
import { expect, type TestContext, test } from "vitest";
import type { Vm } from "../../../../src/runtime/vm.ts";
import { makeCertificate } from "../../../support/certificate.ts";
import { startOutboundVm, startOutside } from "../../../support/outside.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";

const folder = temporaryFolder();
const make = (script: string) => execFileSync("sh", ["-ec", script], { cwd: folder });

/** Starts a VM that may reach one outside host under a given name. */
function startVmFor(name: string, port: number) {
  return startOutboundVm(
    { outbound: { allow: [`${name}:${port}`, `127.0.0.1:${port}`] } },
    { [name]: ["127.0.0.1"] },
  );
}

/** Skips a test if VMs of this host lack a program. */
async function needs(vm: Vm, command: string, skip: TestContext["skip"]): Promise<void> {
  if ((await vm.exec(command)).exitCode === 0) return;
  skip(`\`${command}\` fails in VMs of this host`);
}

/** Serves a folder's files, as `git update-server-info` prepares them for plain HTTP servers. */
const files: RequestListener = (request, response) => {
  const path = join(folder, new URL(request.url ?? "/", "http://x").pathname);
  if (existsSync(path) && statSync(path).isFile()) response.end(readFileSync(path));
  else response.writeHead(404).end();
};

const makeRepository = (name: string) =>
  make(`git init -q ${name} && cd ${name} && echo text > file && git add file
    git -c user.name=a -c user.email=a@b commit -qm one
    git clone -q --bare . ../${name}.git && git -C ../${name}.git update-server-info`);

test("git clones over http and https", async () => {
  makeRepository("repo");
  const tls = await makeCertificate("git.test");
  const clone = "git clone -q $URL/repo.git clone && cat clone/file && rm -r clone";
  for (const scheme of ["http", "https"]) {
    const { port } = await startOutside(files, scheme === "https" ? tls : undefined);
    const { vm } = startVmFor("git.test", port);
    await vm.writeFile("/tmp/ca.pem", tls.cert);
    const env = { URL: `${scheme}://git.test:${port}`, GIT_SSL_CAINFO: "/tmp/ca.pem" };
    const { stdout, stderr } = await vm.exec(clone, { cwd: "/workspace", env });
    expect({ scheme, stdout, stderr }).toEqual({ scheme, stdout: "text\n", stderr: "" });
  }
});

test("npm installs a package", async ({ skip }) => {
  make(`mkdir package && echo 'module.exports = "installed"' > package/index.js
    echo '{"name":"tiny","version":"1.0.0"}' > package/package.json && tar czf tiny.tgz package`);
  const tarball = readFileSync(join(folder, "tiny.tgz"));
  const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
  const { port } = await startOutside((request, response) => {
    if (request.url === "/tiny.tgz") return void response.end(tarball);
    const dist = { tarball: `http://registry.test:${port}/tiny.tgz`, integrity };
    const versions = { "1.0.0": { name: "tiny", version: "1.0.0", dist } };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ name: "tiny", "dist-tags": { latest: "1.0.0" }, versions }));
  });
  const { vm } = startVmFor("registry.test", port);
  await needs(vm, "npm --version", skip);
  const { stdout, stderr } = await vm.exec(
    `npm install --silent --no-audit --no-fund --registry http://registry.test:${port} tiny && node -p 'require("tiny")'`,
    { cwd: "/workspace" },
  );
  expect({ stdout, stderr }).toEqual({ stdout: "installed\n", stderr: "" });
});

/** Builds a wheel: a zip with a module and its metadata. */
const WHEEL = `
import base64, hashlib, zipfile
about = "tiny-1.0.0.dist-info/"
files = {
    "tiny.py": "answer = 'installed'\\n",
    about + "METADATA": "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0.0\\n",
    about + "WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
}
def line(name):
    digest = base64.urlsafe_b64encode(hashlib.sha256(files[name].encode()).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(files[name])}\\n"
files[about + "RECORD"] = "".join(map(line, files)) + about + "RECORD,,\\n"
with zipfile.ZipFile("/tmp/tiny-1.0.0-py3-none-any.whl", "w") as wheel:
    for name, text in files.items(): wheel.writestr(name, text)`;

test("pip installs a wheel", async ({ skip }) => {
  const name = "tiny-1.0.0-py3-none-any.whl";
  let wheel: Uint8Array = new Uint8Array();
  const { port } = await startOutside((request, response) => {
    if (request.url === `/${name}`) return void response.end(wheel);
    response.setHeader("content-type", "text/html");
    if (request.url === "/simple/tiny/") response.end(`<!doctype html><a href="/${name}">${name}</a>`);
    else response.writeHead(404).end();
  });
  const { vm } = startVmFor("index.test", port);
  await needs(vm, "python3 -m pip --version", skip);
  expect((await vm.execArgv("python3", ["-c", WHEEL])).stderr).toBe("");
  wheel = await vm.readFile(`/tmp/${name}`);
  const index = `-i http://index.test:${port}/simple --trusted-host index.test`;
  const { stdout } = await vm.exec(
    `python3 -m pip install -q --no-cache-dir --target here ${index} tiny && cd here && python3 -c 'import tiny; print(tiny.answer)'`,
    { cwd: "/workspace" },
  );
  expect(stdout).toBe("installed\n");
});

test("Java finds the proxy by JAVA_OPTS, and by MAVEN_OPTS", async ({ skip }) => {
  const { port } = await startOutside((_request, response) => void response.end("from outside"));
  const { vm } = startVmFor("packages.test", port);
  await needs(vm, "javac --version", skip);
  const program = `class A { public static void main(String[] a) throws Exception {
    System.out.println(new String(new java.net.URL(a[0]).openStream().readAllBytes())); } }`;
  await vm.writeFile("/workspace/A.java", program);
  const lines = ["JAVA_OPTS", "MAVEN_OPTS"].map((name) => `java $${name} A http://packages.test:${port}/`);
  const { stdout, stderr } = await vm.exec(["javac A.java", ...lines].join(" && "), { cwd: "/workspace" });
  expect({ stdout, stderr }).toEqual({ stdout: "from outside\nfrom outside\n", stderr: "" });
});

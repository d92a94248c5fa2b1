import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { freePort } from "../support/free-port.ts";

const ROOT = join(import.meta.dirname, "../..");

const CLIENT = `
import { createClient } from "agent-vm/client";
const client = createClient({ endpoint: process.env.ENDPOINT });
const vm = client.vm.getOrCreate("packed");
console.log((await vm.exec("echo from $(hostname)")).stdout.trim());
await vm.writeFile("/workspace/x", "file");
console.log(new TextDecoder().decode(await vm.readFile("/workspace/x")));
`;

const LIBRARY = `
import { createVm, setup, vmActor } from "agent-vm";
const registry = setup({ use: { vm: vmActor({ env: { CI: "1" } }) } });
const vm = await createVm();
console.log(typeof registry.start, (await vm.exec("echo bare")).stdout.trim());
await vm.dispose("destroy");
`;

test("the packed tarball, installed into an empty folder, runs a server and a client", {
  timeout: 300_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "agent-vm-package-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [packed] = JSON.parse(
    execFileSync("npm", ["pack", "--json", "--pack-destination", folder], {
      cwd: ROOT,
      encoding: "utf8",
      // The build's own output must not mix with npm's.
      env: { ...process.env, npm_config_foreground_scripts: "false" },
    }),
  ) as { filename: string; files: { path: string }[] }[];
  const paths = packed?.files.map(({ path }) => path) ?? [];
  expect(
    paths.filter((path) => !/^(dist|docs)\/|^(README|CHANGELOG)\.md$|^LICENSE$|^package\.json$/.test(path)),
  ).toEqual([]);

  // What RivetKit would pull in and nobody uses: the README tells users of the library the same.
  const { overrides } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { overrides: object };
  const dependencies = { "agent-vm": `file:./${packed?.filename}` };
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ private: true, type: "module", dependencies, overrides }),
  );
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline"], {
    cwd: folder,
    stdio: "pipe",
  });
  writeFileSync(join(folder, "client.js"), CLIENT);
  writeFileSync(join(folder, "library.js"), LIBRARY);

  const run = (script: string, env: Record<string, string> = {}) =>
    execFileSync(process.execPath, [script], {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, ...env },
    });
  expect(run("library.js")).toBe("function bare\n");

  const port = await freePort();
  const server = spawn(process.execPath, [join("node_modules", ".bin", "agent-vm")], {
    cwd: folder,
    env: { ...process.env, NODE_ENV: "", PORT: String(port), AGENT_VM_DATA: join(folder, "data") },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void server.kill("SIGKILL"));
  await new Promise<void>((resolve) => {
    server.stdout.on("data", (data: Buffer) => {
      if (data.includes("Access")) resolve();
    });
  });
  expect(run("client.js", { ENDPOINT: `http://127.0.0.1:${port}` })).toBe("from agentos\nfile\n");
  const exited = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGTERM");
  expect(await exited).toBe(0);
});

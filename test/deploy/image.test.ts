// @module-tag slow
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { freePort } from "../support/free-port.ts";
import { isRoot } from "../support/host.ts";
import { startServerProcess } from "../support/server-process.ts";
import { testFolder } from "../support/temporary-folder.ts";

const ROOT = join(import.meta.dirname, "../..");
const PODMAN = ["podman", "--runtime", "runc"] as const;
const NAME = `localhost/agent-vm-test-${process.pid}`;

/** Options of docs/containers.md, and what a test needs besides: the host's network, and limits that any root may set. */
const OPTIONS = [
  ...["--rm", "--network", "host", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"],
  ...["--read-only", "--tmpfs", "/tmp:mode=1777", "--cap-drop", "all"],
  ...["--security-opt", "no-new-privileges"],
];
const PROFILE = ["--security-opt", `seccomp=${join(ROOT, "deploy/seccomp.json")}`];
const WHOLE_PROC = ["--security-opt", "unmask=ALL"];

/** The base image without a registry: Debian by mmdebstrap, and this Node with the host's npm. */
function makeBase(folder: string): void {
  const npm = join(dirname(realpathSync(execFileSync("which", ["npm"], { encoding: "utf8" }).trim())), "..");
  const authorities = "/etc/ssl/certs/ca-certificates.crt";
  mkdirSync(folder, { recursive: true });
  execFileSync("mmdebstrap", ["--variant=apt", "bookworm", join(folder, "debian.tar")], { stdio: "pipe" });
  cpSync(realpathSync(process.execPath), join(folder, "node"));
  cpSync(npm, join(folder, "npm"), { recursive: true });
  if (existsSync(authorities)) cpSync(authorities, join(folder, "authorities"));
  else writeFileSync(join(folder, "authorities"), "");
  const lines = [
    "FROM scratch",
    "ADD debian.tar /",
    "COPY node /usr/local/bin/node",
    "COPY npm /usr/local/lib/node_modules/npm",
    "COPY authorities /etc/ssl/authorities",
    "ENV NODE_EXTRA_CA_CERTS=/etc/ssl/authorities",
    "RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm",
  ];
  writeFileSync(join(folder, "Dockerfile"), `${lines.join("\n")}\n`);
  podman("build", "--layers=false", "--network", "host", "--tag", `${NAME}-base`, folder);
}

function podman(...args: string[]): string {
  const [program, ...options] = PODMAN;
  return execFileSync(program, [...options, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

test("the Dockerfile's image serves VMs under Podman, and its doctor names what a default refuses", {
  timeout: 900_000,
}, async (context) => {
  if (!isRoot) return context.skip("needs root");
  for (const program of ["podman", "runc", "mmdebstrap"]) {
    if (spawnSync(program, ["--version"]).status !== 0)
      return context.skip(`${program} is not installed (apt-get install ${program})`);
  }
  onTestFinished(() => {
    const [program, ...options] = PODMAN;
    spawnSync(program, [...options, "rmi", "--force", NAME, `${NAME}-base`]);
  });
  makeBase(testFolder());
  podman(
    "build",
    "--layers=false",
    "--network",
    "host",
    "--build-arg",
    `NODE_IMAGE=${NAME}-base`,
    "--tag",
    NAME,
    ROOT,
  );

  expect(podman("run", ...OPTIONS, ...PROFILE, ...WHOLE_PROC, NAME, "doctor")).toContain("VMs can run here.");
  const [program, ...options] = PODMAN;
  const masked = spawnSync(program, [...options, "run", ...OPTIONS, ...PROFILE, NAME, "doctor"], {
    encoding: "utf8",
  });
  expect(masked.stdout).toMatch(/FAIL {2}own procfs +.*\n +-> .*unmask=ALL/);
  expect(masked.status).toBe(1);

  const port = await freePort();
  const env = ["--env", `PORT=${port}`, "--env", "AGENT_VM_TOKEN=t0ken"];
  const server = await startServerProcess({
    port,
    command: [...PODMAN, "run", ...OPTIONS, ...PROFILE, ...WHOLE_PROC, ...env, NAME],
  });
  onTestFinished(async () => void (await server.stop("SIGTERM")));
  const client = createClient<typeof registry>({ endpoint: server.endpoint, token: "t0ken" });
  onTestFinished(() => client.dispose());
  const vm = client.vm.getOrCreate("one");
  expect((await vm.exec("id --user; git --version")).stdout).toMatch(/^1000\ngit version/);
});

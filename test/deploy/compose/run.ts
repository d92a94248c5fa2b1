import assert from "node:assert/strict";
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { createClient } from "../../../src/client/index.ts";
import type { VmClient } from "../../../src/client/types.ts";
import type { registry } from "../../../src/server.ts";
import { until } from "../../support/until.ts";

// Brings up both compose files in a Docker of its own, and uses them as their user would. image.test.ts starts this program in
// namespaces that end with it: the port is free there, and nothing of the host's Docker and firewall changes.
// The argument is a JSON object.
interface Arguments {
  /** An empty folder. */
  folder: string;
  /** Cgroup of the containers. */
  cgroup: string;
  /** An archive of images. */
  archive: string;
  /** Its images, by the names that the files use. */
  images: Record<string, string>;
  /** Command line of Compose. */
  compose: readonly string[];
  /** More variables of the engine. */
  engine: Record<string, string>;
}
const { folder, cgroup, archive, images, compose, engine } = JSON.parse(process.argv[2] ?? "") as Arguments;

const ROOT = join(import.meta.dirname, "../../..");
const ENDPOINT = "http://127.0.0.1:6420";
const env = { ...process.env, DOCKER_HOST: `unix://${join(folder, "docker.sock")}` };
const run = promisify(execFile);

const TOKEN = secret();
function secret(): string {
  return randomBytes(32).toString("hex");
}

async function startDocker(): Promise<ChildProcess> {
  // Sockets and locks of the host's Docker and firewall are not visible here.
  execFileSync("mount", ["-t", "tmpfs", "tmpfs", "/run"]);
  execFileSync("ip", ["link", "set", "lo", "up"]);
  const configuration = join(folder, "daemon.json");
  writeFileSync(configuration, "{}");
  const place = ["--data-root", join(folder, "data"), "--exec-root", join(folder, "exec")];
  const groups = ["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", cgroup];
  const daemon = spawn(
    "dockerd",
    [
      ...groups,
      "--config-file",
      configuration,
      ...place,
      "--pidfile",
      join(folder, "pid"),
      "--host",
      env.DOCKER_HOST,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let log = "";
  daemon.stderr.on("data", (data) => {
    log += data;
  });
  await until(() => {
    assert.equal(daemon.exitCode, null, log);
    return log.includes("API listen on");
  });
  return daemon;
}

const ready = () =>
  until(async () => (await fetch(`${ENDPOINT}/health/ready`).catch(() => undefined))?.ok === true);

/** A compose file. */
class Project {
  readonly #options: readonly string[];

  /** @param more settings on top of the file */
  constructor(file: string, variables: Record<string, string>, more?: object) {
    const envFile = join(folder, `${file}.env`);
    writeFileSync(
      envFile,
      Object.entries(variables)
        .map((pair) => `${pair.join("=")}\n`)
        .join(""),
    );
    const added = join(folder, `more-${file}`);
    if (more) writeFileSync(added, JSON.stringify(more));
    this.#options = ["--env-file", envFile, "--file", join(ROOT, file), ...(more ? ["--file", added] : [])];
  }

  async do(...args: string[]): Promise<string> {
    const [program = "", ...first] = compose;
    return (await run(program, [...first, ...this.#options, ...args], { env })).stdout;
  }

  /** Brings it up, and hands its user a client. Takes it down at the end, or shows its logs. */
  async use(work: (client: VmClient<typeof registry>) => Promise<void>): Promise<void> {
    await this.do("up", "--detach");
    try {
      await ready();
      await using client = createClient<typeof registry>({ endpoint: ENDPOINT, token: TOKEN });
      await work(client);
    } catch (error) {
      console.error(await this.do("logs", "--tail", "50"));
      throw error;
    }
    await this.do("down", "--volumes");
  }
}

async function useServer(): Promise<void> {
  const project = new Project("compose.yaml", { AGENT_VM_TOKEN: TOKEN });
  await project.use(async (client) => {
    const vm = client.vm.getOrCreate("one");
    assert.match((await vm.exec("id --user; git --version")).stdout, /^1000\ngit version/);
    await vm.writeFile("/workspace/file", "kept");
    await project.do("stop");
    assert.match(await project.do("ps", "--all", "--format", "{{.Status}}"), /^Exited \(0\)/);
    await project.do("start");
    await ready();
    assert.equal((await vm.exec("cat /workspace/file")).stdout, "kept");
  });
}

const WEB_SERVER = "require('http').createServer((_, response) => response.end('web')).listen(3000)";
const VMS = 4;
const MOVE_TIMEOUT_MS = 180_000;

async function useFleet(): Promise<void> {
  const secrets = ["RIVET_ADMIN_TOKEN", "AGENT_VM_SECRET", "AGENT_VM_PEER_SECRET"];
  const project = new Project(
    "compose.scale.yaml",
    { AGENT_VM_TOKEN: TOKEN, ...Object.fromEntries(secrets.map((name) => [name, secret()])) },
    { services: { engine: { environment: engine } } },
  );
  await project.use(async (client) => {
    const vms = Array.from({ length: VMS }, (_, index) => client.vm.getOrCreate(["team", `vm-${index}`]));
    const [vm] = vms as [(typeof vms)[0]];
    // The engine learns of the servers a moment after they have started.
    await until(() => vm.exists("/").catch(() => false));
    await Promise.all(vms.map((each, index) => each.writeFile("/workspace/file", `${index}`)));
    const contents = () =>
      Promise.all(vms.map(async (each) => (await each.exec("cat /workspace/file")).stdout));
    const answer = async () => {
      let read: string[] = [];
      // On a busy machine a move may take longer than a front looks for the VM, and a call may end with its server.
      await until(async () => {
        read = await contents().catch(() => []);
        return read.length > 0;
      }, MOVE_TIMEOUT_MS);
      assert.deepEqual(
        read,
        vms.map((_, index) => `${index}`),
      );
    };
    await answer();

    await vm.spawn("node", ["-e", WEB_SERVER]);
    await vm.waitForPort(3000);
    const { pathUrl } = await vm.createSignedPreviewUrl(3000);
    assert.equal(await (await fetch(pathUrl)).text(), "web");
    assert.equal((await client.vm.list({ prefix: ["team"] })).vms.length, VMS);

    // Each has to take the VMs of the other.
    for (const name of ["server-1", "server-2"]) {
      await project.do("stop", name);
      assert.match(await project.do("ps", "--all", "--format", "{{.Status}}", name), /^Exited \(0\)/);
      await answer();
      await project.do("start", name);
    }
    await project.do("restart", "engine");
    await answer();
    await vm.writeFile("/workspace/file", "0");
  });
}

const daemon = await startDocker();
await run("docker", ["load", "--input", archive], { env });
for (const [name, source] of Object.entries(images)) await run("docker", ["tag", source, name], { env });
await useServer();
await useFleet();
daemon.kill();
await once(daemon, "exit");
console.log("used");

// @module-tag slow
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { ENGINE_PROGRAM, PATIENT } from "../support/engine.ts";
import { freePort } from "../support/free-port.ts";
import { isRoot } from "../support/host.ts";
import {
  BUILDERS,
  buildEngineImage,
  buildImage,
  buildSystemdImage,
  ENGINE_IMAGE,
  IMAGE,
  PODMAN,
  podman,
  ROOT,
  removeImages,
} from "../support/image.ts";
import { has } from "../support/installed.ts";
import { runProgram } from "../support/program.ts";
import { startServerProcess } from "../support/server-process.ts";
import { temporaryFolder, testFolder } from "../support/temporary-folder.ts";
import { bootUnits } from "./boot-units.ts";

const TIMEOUT_MS = 900_000;

/** Options of docs/containers.md, and what a test needs besides: the host's network, and limits that any root may set. */
const OPTIONS = [
  ...["--rm", "--network", "host", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"],
  ...["--read-only", "--tmpfs", "/tmp:mode=1777", "--cap-drop", "all"],
  ...["--security-opt", "no-new-privileges"],
];
const PROFILE = ["--security-opt", `seccomp=${join(ROOT, "deploy/seccomp.json")}`];
const WHOLE_PROC = ["--security-opt", "unmask=ALL"];

const missing = isRoot ? BUILDERS.filter((name) => !has(name)) : ["root"];

/** Command line of Compose 2, as a plugin or a program. */
const compose = [["docker", "compose"], ["docker-compose"]].find(([program = "", ...args]) =>
  /^v?([2-9]|\d\d)/.test(String(spawnSync(program, [...args, "version", "--short"]).stdout)),
);

function hasAppArmor(): boolean {
  try {
    return readFileSync("/sys/module/apparmor/parameters/enabled", "utf8").startsWith("Y");
  } catch {
    return false;
  }
}

describe.skipIf(missing.length > 0)(
  `the Dockerfile's image (needs ${["root", ...BUILDERS].join(", ")})`,
  () => {
    const folder = temporaryFolder();
    beforeAll(() => buildImage(folder), TIMEOUT_MS);
    afterAll(removeImages);

    test("it serves VMs under Podman, and its doctor names what a default refuses", async () => {
      expect(podman("run", ...OPTIONS, ...PROFILE, ...WHOLE_PROC, IMAGE, "doctor")).toContain(
        "VMs can run here.",
      );
      const [program, ...options] = PODMAN;
      const masked = spawnSync(program, [...options, "run", ...OPTIONS, ...PROFILE, IMAGE, "doctor"], {
        encoding: "utf8",
      });
      expect(masked.stdout).toMatch(/FAIL {2}own procfs +.*\n +-> .*unmask=ALL/);
      expect(masked.status).toBe(1);

      const port = await freePort();
      const env = ["--env", `PORT=${port}`, "--env", "AGENT_VM_TOKEN=t0ken"];
      const server = await startServerProcess({
        port,
        command: [...PODMAN, "run", ...OPTIONS, ...PROFILE, ...WHOLE_PROC, ...env, IMAGE],
      });
      onTestFinished(async () => void (await server.stop("SIGTERM")));
      const client = createClient<typeof registry>({ endpoint: server.endpoint, token: "t0ken" });
      onTestFinished(() => client.dispose());
      const vm = client.vm.getOrCreate("one");
      expect((await vm.exec("id --user; git --version")).stdout).toMatch(/^1000\ngit version/);
    });

    describe.skipIf(ENGINE_PROGRAM === undefined)("with a Rivet Engine (RIVET_ENGINE_BINARY)", () => {
      beforeAll(() => buildEngineImage(folder), TIMEOUT_MS);

      test("both compose files come up under Docker, and their VMs outlive restarts of each part", {
        timeout: TIMEOUT_MS,
      }, async (context) => {
        if (compose === undefined || !has("dockerd", "docker", "iptables", "ip"))
          return context.skip("needs dockerd, docker, Compose 2, iptables and iproute2");
        if (hasAppArmor())
          return context.skip("the host has AppArmor, whose profile this test does not load");
        const archive = join(folder, "images.tar");
        podman("save", "--multi-image-archive", "--output", archive, IMAGE, ENGINE_IMAGE);
        const files = readFileSync(join(ROOT, "compose.scale.yaml"), "utf8");
        const engine = /image: (\S*engine\S*)/.exec(files)?.[1] ?? "";
        const images = { "agent-vm": IMAGE, [engine]: ENGINE_IMAGE };
        const cgroup = `/agent-vm-docker-${process.pid}`;
        onTestFinished(() => {
          const left = ["/sys/fs/cgroup", "-depth", "-type", "d", "-path", `*${cgroup}*`, "-delete"];
          spawnSync("find", left);
        });
        const namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
        const program = [
          process.execPath,
          "--conditions=agent-vm-source",
          join(import.meta.dirname, "compose/run.ts"),
        ];
        const given = { folder: testFolder(), cgroup, archive, images, compose, engine: PATIENT };
        const args = [...namespaces, ...program, JSON.stringify(given)];
        const { code, stdout, stderr } = await runProgram(args, { program: "unshare" });
        expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: "used\n" });
      });

      test("a Debian that boots runs engine, server and front by the systemd units, and a stop waits for running calls", {
        timeout: TIMEOUT_MS,
      }, async () => {
        buildSystemdImage(folder);
        await bootUnits();
      });
    });
  },
);

import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { expect, onTestFinished } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { freePort } from "../support/free-port.ts";
import { PODMAN, podman, SYSTEMD_IMAGE } from "../support/image.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);

/** systemd raises this limit of the host, also in a container. */
const FILE_MAX = "/proc/sys/fs/file-max";

/** Boots a Debian, enables the three units as docs/scale.md says, and uses them. */
export async function bootUnits(): Promise<void> {
  const fileMax = readFileSync(FILE_MAX, "utf8");
  const options = [
    "--detach",
    "--rm",
    "--privileged",
    "--systemd",
    "always",
    "--ulimit",
    "nofile=4096:4096",
    "--ulimit",
    "nproc=4096:4096",
    "--network",
    "host",
  ];
  const container = podman("run", ...options, SYSTEMD_IMAGE).trim();
  onTestFinished(() => {
    podman("rm", "--force", "--time", "0", container);
    writeFileSync(FILE_MAX, fileMax);
  });
  const inside = async (...command: string[]) => {
    const [program, ...options] = PODMAN;
    return (await run(program, [...options, "exec", container, ...command])).stdout;
  };
  const systemctl = (...args: string[]) => inside("systemctl", ...args);
  await until(async () => /^running/.test(await systemctl("is-system-running").catch(() => "")));

  const [guard, peers, metrics, advertised, server, front] = await Promise.all(
    Array.from({ length: 6 }, () => freePort()),
  );
  const write = async (path: string, variables: Record<string, string | number | undefined>) => {
    const lines = Object.entries(variables).map((pair) => pair.join("="));
    await inside("sh", "-c", `umask 077; printf '%s\\n' "$@" > ${path}`, "sh", ...lines);
  };
  await write("/etc/rivet-engine.env", {
    RIVET__AUTH__ADMIN_TOKEN: "admin",
    RIVET__GUARD__PORT: guard,
    RIVET__API_PEER__PORT: peers,
    RIVET__METRICS__PORT: metrics,
  });
  const common = {
    RIVET_ENGINE: `http://127.0.0.1:${guard}`,
    RIVET_TOKEN: "admin",
    AGENT_VM_TOKEN: "t0ken",
    AGENT_VM_SECRET: "a secret that signs the tokens of the servers",
    AGENT_VM_PEER_SECRET: "a secret of all servers behind one engine",
  };
  await write("/etc/agent-vm.env", {
    ...common,
    RIVET_RUNNER_VERSION: 1,
    PORT: server,
    AGENT_VM_ADVERTISE: `http://127.0.0.1:${advertised}`,
  });
  await write("/etc/agent-vm-front.env", { ...common, PORT: front });
  await systemctl("enable", "--now", "rivet-engine.service", "agent-vm.service", "agent-vm-front.service");

  const endpoint = `http://127.0.0.1:${front}`;
  await until(async () => (await fetch(`${endpoint}/health/ready`).catch(() => undefined))?.ok === true);
  await using client = createClient<typeof registry>({ endpoint, token: "t0ken" });
  const vm = client.vm.getOrCreate("one");
  await until(() => vm.exists("/").catch(() => false));
  await vm.writeFile("/workspace/file", "kept");

  // The stop waits for a call that runs, and the VM is back with its files after the start.
  const running = vm.exec("touch /workspace/begun; sleep 2; echo done");
  await until(() => vm.exists("/workspace/begun"));
  await systemctl("stop", "agent-vm.service");
  expect((await running).stdout).toBe("done\n");
  expect(await systemctl("show", "--property", "Result,ExecMainStatus", "agent-vm.service")).toBe(
    "Result=success\nExecMainStatus=0\n",
  );
  await systemctl("start", "agent-vm.service");
  await until(() => vm.exists("/workspace/file").catch(() => false));
  expect((await vm.exec("cat /workspace/file")).stdout).toBe("kept");
  // No unit has failed and been started again meanwhile.
  const units = ["rivet-engine", "agent-vm", "agent-vm-front"].map((name) => `${name}.service`);
  expect((await systemctl("show", "--property", "NRestarts", "--value", ...units)).trim()).toMatch(
    /^0\s+0\s+0$/,
  );
  expect(await systemctl("list-units", "--failed", "--plain", "--no-legend")).toBe("");
}

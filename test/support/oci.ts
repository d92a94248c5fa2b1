import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { testFolder } from "./temporary-folder.ts";

const ROOT = join(import.meta.dirname, "../..");
/** Place of the checkout in a container. An ordinary user may pass through its folders. */
const CHECKOUT = "/srv/agent-vm";

export const DATA_FOLDER = "/data";

/** The uid of the container image. */
const UID = 1000;

export interface Bundle {
  /** Command line that runs a container. Its process is the foreground. */
  command(env: Record<string, string>, ...args: string[]): string[];
}

interface BundleOptions {
  /** Whether the container has a user namespace of its own, as Kubernetes gives with `hostUsers: false`. */
  ownUsers?: boolean;
}

/** Program of an OCI runtime that can run here; `undefined` if there is none. Only root can run a container without a helper. */
export function ociRuntime(): string | undefined {
  if (process.getuid?.() !== 0) return undefined;
  return ["runc", "crun"].find((name) => spawnSync(name, ["--version"]).status === 0);
}

/**
 * Makes containers of the kind that docs/containers.md describes: an ordinary user without capabilities, a read-only root
 * with this host's /usr, the profile deploy/seccomp.json, nothing masked in /proc.
 */
export function makeBundle(runtime: string, { ownUsers = false }: BundleOptions = {}): Bundle {
  const folder = testFolder();
  chmodSync(folder, 0o755);
  const root = join(folder, "rootfs");
  for (const path of ["data", "dev", "etc", "proc", "srv/agent-vm", "sys", "tmp", "usr", "var/tmp"])
    mkdirSync(join(root, path), { recursive: true });
  // The runtime gives the mounts these modes.
  for (const path of ["tmp", "data"]) chmodSync(join(root, path), 0o1777);
  for (const name of ["bin", "sbin", "lib", "lib64"]) symlinkSync(`usr/${name}`, join(root, name));
  let count = 0;
  return {
    command(env, ...args) {
      const config = configOf(args, env, ownUsers);
      writeFileSync(join(folder, "config.json"), JSON.stringify(config));
      const id = `agent-vm-test-${process.pid}-${Date.now()}-${count++}`;
      onTestFinished(() => void spawnSync(runtime, ["delete", "--force", id]));
      // Debian 12's crun does not know a host with cgroups of both versions.
      const options = runtime === "crun" ? ["--cgroup-manager=disabled"] : [];
      return [runtime, ...options, "run", "--bundle", folder, id];
    },
  };
}

/** The configuration of the OCI runtime specification. */
function configOf(args: readonly string[], env: Record<string, string>, ownUsers: boolean): object {
  const node = process.execPath.startsWith(`${ROOT}/`)
    ? CHECKOUT + process.execPath.slice(ROOT.length)
    : process.execPath;
  const tmpfs = (destination: string) => ({
    destination,
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "nodev", "mode=1777"],
  });
  const bind = (source: string, destination = source) => ({
    destination,
    source,
    type: "bind",
    options: ["rbind", "ro", "nosuid", "nodev"],
  });
  const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  return {
    ociVersion: "1.0.2",
    process: {
      user: { uid: UID, gid: UID },
      args: [node, "src/cli/main.ts", ...args],
      cwd: CHECKOUT,
      env: Object.entries({ PATH: "/usr/bin:/bin", HOME: "/tmp", ...env }).map((pair) => pair.join("=")),
      noNewPrivileges: true,
      capabilities: {},
    },
    root: { path: "rootfs", readonly: true },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["newinstance", "ptmxmode=0666"],
      },
      ...["/tmp", DATA_FOLDER].map(tmpfs),
      bind("/usr"),
      bind("/etc"),
      bind(ROOT, CHECKOUT),
    ],
    linux: {
      namespaces: ["pid", "ipc", "uts", "mount", ...(ownUsers ? ["user"] : [])].map((type) => ({ type })),
      ...(ownUsers && { uidMappings: ids, gidMappings: ids }),
      seccomp: JSON.parse(readFileSync(join(ROOT, "deploy/seccomp.json"), "utf8")),
    },
  };
}
